"""`transformers serve` for a checkpoint of the world: python serve_transformers.py FOLDER PORT.

Without torchvision, `AutoProcessor` hands back a bare tokenizer and the server then drops images without a word; here
it loads the processor that vlmprobe loads.
"""

from __future__ import annotations

import sys

import transformers
from transformers.cli.serving import utils
from transformers.cli.transformers import main

from vlmprobe.vlm.load import load_processor

if __name__ == "__main__":
    folder, port = sys.argv[1:]
    transformers.AutoProcessor.from_pretrained = lambda path, *_, **__: load_processor(path)
    utils.get_response_template = lambda *_: None  # the one of the class expects ChatML, which the world does not write
    sys.argv = ["transformers", "serve", folder, "--device", "cpu", "--dtype", "float32", "--port", port]
    main()
