#include "vlmprobe/core/sha256.h"

#include <set>

#include "support.h"

using vlmprobe::sha256;

TEST_CASE("sha256 gives the standard's known answers") {
  // FIPS 180-2, appendix B, and NIST's test vectors.
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 tells texts apart around the sizes of its blocks, and by every bit") {
  std::set<std::string> seen;
  for (std::size_t size : {0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 121, 128}) {
    std::string text(size, '\0');
    seen.insert(sha256(text));
    for (char& byte : text) byte = '\x01', seen.insert(sha256(text)), byte = '\0';
  }
  CHECK(seen.size() == 12 + 0 + 1 + 55 + 56 + 57 + 63 + 64 + 65 + 119 + 120 + 121 + 128);
}
