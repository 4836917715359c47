"""A vision-language model in this process: transformers' classes behind one face."""
