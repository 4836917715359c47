// Tables of letters and marks for text/letters.h, taken from the Unicode Character Database, version 14.
#pragma once

#include <array>
#include <string_view>

#include "vlmprobe/text/invisible.h"

namespace vlmprobe::text::detail {

// Upper case that no rule of text/letters.h covers, each followed by its lower case; ascending.
inline constexpr std::u16string_view kLowerCase =
    u"\u0130i\u0178\u00FF\u0181\u0253\u0182\u0183\u0184\u0185\u0186\u0254\u0187\u0188\u0189\u0256\u018A\u0257"
    u"\u018B\u018C\u018E\u01DD\u018F\u0259\u0190\u025B\u0191\u0192\u0193\u0260\u0194\u0263\u0196\u0269\u0197"
    u"\u0268\u0198\u0199\u019C\u026F\u019D\u0272\u019F\u0275\u01A0\u01A1\u01A2\u01A3\u01A4\u01A5\u01A6\u0280"
    u"\u01A7\u01A8\u01A9\u0283\u01AC\u01AD\u01AE\u0288\u01AF\u01B0\u01B1\u028A\u01B2\u028B\u01B3\u01B4\u01B5"
    u"\u01B6\u01B7\u0292\u01B8\u01B9\u01BC\u01BD\u01C4\u01C6\u01C5\u01C6\u01C7\u01C9\u01C8\u01C9\u01CA\u01CC"
    u"\u01CB\u01CC\u01F1\u01F3\u01F2\u01F3\u01F4\u01F5\u01F6\u0195\u01F7\u01BF\u0220\u019E\u023A\u2C65\u023B"
    u"\u023C\u023D\u019A\u023E\u2C66\u0241\u0242\u0243\u0180\u0244\u0289\u0245\u028C\u0376\u0377\u037F\u03F3"
    u"\u0386\u03AC\u038C\u03CC\u038E\u03CD\u038F\u03CE\u03C2\u03C3\u03CF\u03D7\u03F4\u03B8\u03F7\u03F8\u03F9"
    u"\u03F2\u03FA\u03FB\u03FD\u037B\u03FE\u037C\u03FF\u037D\u04C0\u04CF\u1E9E\u00DF";

// Letter, mark, and what both make (normal form C), of Latin, Greek, Cyrillic and Arabic in lower case; ascending.
inline constexpr std::u16string_view kComposed =
    u"a\u0300\u00E0a\u0301\u00E1a\u0302\u00E2a\u0303\u00E3a\u0304\u0101a\u0306\u0103a\u0307\u0227a\u0308\u00E4"
    u"a\u0309\u1EA3a\u030A\u00E5a\u030C\u01CEa\u030F\u0201a\u0311\u0203a\u0323\u1EA1a\u0325\u1E01a\u0328\u0105"
    u"b\u0307\u1E03b\u0323\u1E05b\u0331\u1E07c\u0301\u0107c\u0302\u0109c\u0307\u010Bc\u030C\u010Dc\u0327\u00E7"
    u"d\u0307\u1E0Bd\u030C\u010Fd\u0323\u1E0Dd\u0327\u1E11d\u032D\u1E13d\u0331\u1E0Fe\u0300\u00E8e\u0301\u00E9"
    u"e\u0302\u00EAe\u0303\u1EBDe\u0304\u0113e\u0306\u0115e\u0307\u0117e\u0308\u00EBe\u0309\u1EBBe\u030C\u011B"
    u"e\u030F\u0205e\u0311\u0207e\u0323\u1EB9e\u0327\u0229e\u0328\u0119e\u032D\u1E19e\u0330\u1E1Bf\u0307\u1E1F"
    u"g\u0301\u01F5g\u0302\u011Dg\u0304\u1E21g\u0306\u011Fg\u0307\u0121g\u030C\u01E7g\u0327\u0123h\u0302\u0125"
    u"h\u0307\u1E23h\u0308\u1E27h\u030C\u021Fh\u0323\u1E25h\u0327\u1E29h\u032E\u1E2Bh\u0331\u1E96i\u0300\u00EC"
    u"i\u0301\u00EDi\u0302\u00EEi\u0303\u0129i\u0304\u012Bi\u0306\u012Di\u0308\u00EFi\u0309\u1EC9i\u030C\u01D0"
    u"i\u030F\u0209i\u0311\u020Bi\u0323\u1ECBi\u0328\u012Fi\u0330\u1E2Dj\u0302\u0135j\u030C\u01F0k\u0301\u1E31"
    u"k\u030C\u01E9k\u0323\u1E33k\u0327\u0137k\u0331\u1E35l\u0301\u013Al\u030C\u013El\u0323\u1E37l\u0327\u013C"
    u"l\u032D\u1E3Dl\u0331\u1E3Bm\u0301\u1E3Fm\u0307\u1E41m\u0323\u1E43n\u0300\u01F9n\u0301\u0144n\u0303\u00F1"
    u"n\u0307\u1E45n\u030C\u0148n\u0323\u1E47n\u0327\u0146n\u032D\u1E4Bn\u0331\u1E49o\u0300\u00F2o\u0301\u00F3"
    u"o\u0302\u00F4o\u0303\u00F5o\u0304\u014Do\u0306\u014Fo\u0307\u022Fo\u0308\u00F6o\u0309\u1ECFo\u030B\u0151"
    u"o\u030C\u01D2o\u030F\u020Do\u0311\u020Fo\u031B\u01A1o\u0323\u1ECDo\u0328\u01EBp\u0301\u1E55p\u0307\u1E57"
    u"r\u0301\u0155r\u0307\u1E59r\u030C\u0159r\u030F\u0211r\u0311\u0213r\u0323\u1E5Br\u0327\u0157r\u0331\u1E5F"
    u"s\u0301\u015Bs\u0302\u015Ds\u0307\u1E61s\u030C\u0161s\u0323\u1E63s\u0326\u0219s\u0327\u015Ft\u0307\u1E6B"
    u"t\u0308\u1E97t\u030C\u0165t\u0323\u1E6Dt\u0326\u021Bt\u0327\u0163t\u032D\u1E71t\u0331\u1E6Fu\u0300\u00F9"
    u"u\u0301\u00FAu\u0302\u00FBu\u0303\u0169u\u0304\u016Bu\u0306\u016Du\u0308\u00FCu\u0309\u1EE7u\u030A\u016F"
    u"u\u030B\u0171u\u030C\u01D4u\u030F\u0215u\u0311\u0217u\u031B\u01B0u\u0323\u1EE5u\u0324\u1E73u\u0328\u0173"
    u"u\u032D\u1E77u\u0330\u1E75v\u0303\u1E7Dv\u0323\u1E7Fw\u0300\u1E81w\u0301\u1E83w\u0302\u0175w\u0307\u1E87"
    u"w\u0308\u1E85w\u030A\u1E98w\u0323\u1E89x\u0307\u1E8Bx\u0308\u1E8Dy\u0300\u1EF3y\u0301\u00FDy\u0302\u0177"
    u"y\u0303\u1EF9y\u0304\u0233y\u0307\u1E8Fy\u0308\u00FFy\u0309\u1EF7y\u030A\u1E99y\u0323\u1EF5z\u0301\u017A"
    u"z\u0302\u1E91z\u0307\u017Cz\u030C\u017Ez\u0323\u1E93z\u0331\u1E95\u00A8\u0301\u0385\u00E2\u0300\u1EA7"
    u"\u00E2\u0301\u1EA5\u00E2\u0303\u1EAB\u00E2\u0309\u1EA9\u00E4\u0304\u01DF\u00E5\u0301\u01FB\u00E6\u0301"
    u"\u01FD\u00E6\u0304\u01E3\u00E7\u0301\u1E09\u00EA\u0300\u1EC1\u00EA\u0301\u1EBF\u00EA\u0303\u1EC5\u00EA"
    u"\u0309\u1EC3\u00EF\u0301\u1E2F\u00F4\u0300\u1ED3\u00F4\u0301\u1ED1\u00F4\u0303\u1ED7\u00F4\u0309\u1ED5"
    u"\u00F5\u0301\u1E4D\u00F5\u0304\u022D\u00F5\u0308\u1E4F\u00F6\u0304\u022B\u00F8\u0301\u01FF\u00FC\u0300"
    u"\u01DC\u00FC\u0301\u01D8\u00FC\u0304\u01D6\u00FC\u030C\u01DA\u0103\u0300\u1EB1\u0103\u0301\u1EAF\u0103"
    u"\u0303\u1EB5\u0103\u0309\u1EB3\u0113\u0300\u1E15\u0113\u0301\u1E17\u014D\u0300\u1E51\u014D\u0301\u1E53"
    u"\u015B\u0307\u1E65\u0161\u0307\u1E67\u0169\u0301\u1E79\u016B\u0308\u1E7B\u017F\u0307\u1E9B\u01A1\u0300"
    u"\u1EDD\u01A1\u0301\u1EDB\u01A1\u0303\u1EE1\u01A1\u0309\u1EDF\u01A1\u0323\u1EE3\u01B0\u0300\u1EEB\u01B0"
    u"\u0301\u1EE9\u01B0\u0303\u1EEF\u01B0\u0309\u1EED\u01B0\u0323\u1EF1\u01EB\u0304\u01ED\u0227\u0304\u01E1"
    u"\u0229\u0306\u1E1D\u022F\u0304\u0231\u0292\u030C\u01EF\u03B1\u0301\u03AC\u03B5\u0301\u03AD\u03B7\u0301"
    u"\u03AE\u03B9\u0301\u03AF\u03B9\u0308\u03CA\u03BF\u0301\u03CC\u03C5\u0301\u03CD\u03C5\u0308\u03CB\u03C9"
    u"\u0301\u03CE\u03CA\u0301\u0390\u03CB\u0301\u03B0\u03D2\u0301\u03D3\u03D2\u0308\u03D4\u0430\u0306\u04D1"
    u"\u0430\u0308\u04D3\u0433\u0301\u0453\u0435\u0300\u0450\u0435\u0306\u04D7\u0435\u0308\u0451\u0436\u0306"
    u"\u04C2\u0436\u0308\u04DD\u0437\u0308\u04DF\u0438\u0300\u045D\u0438\u0304\u04E3\u0438\u0306\u0439\u0438"
    u"\u0308\u04E5\u043A\u0301\u045C\u043E\u0308\u04E7\u0443\u0304\u04EF\u0443\u0306\u045E\u0443\u0308\u04F1"
    u"\u0443\u030B\u04F3\u0447\u0308\u04F5\u044B\u0308\u04F9\u044D\u0308\u04ED\u0456\u0308\u0457\u0475\u030F"
    u"\u0477\u04D9\u0308\u04DB\u04E9\u0308\u04EB\u0627\u0653\u0622\u0627\u0654\u0623\u0627\u0655\u0625\u0648"
    u"\u0654\u0624\u064A\u0654\u0626\u06C1\u0654\u06C2\u06D2\u0654\u06D3\u06D5\u0654\u06C0\u1E37\u0304\u1E39"
    u"\u1E5B\u0304\u1E5D\u1E63\u0307\u1E69\u1EA1\u0302\u1EAD\u1EA1\u0306\u1EB7\u1EB9\u0302\u1EC7\u1ECD\u0302"
    u"\u1ED9";

// Marks above, below and through letters that say the same without them, or make a letter of `kComposed`.
inline constexpr auto kDiacritics = std::to_array<ScalarRange>({
    {0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x5BF, 0x5BF},   {0x5C1, 0x5C2},   {0x5C4, 0x5C5},
    {0x5C7, 0x5C7},   {0x610, 0x61A},   {0x640, 0x640},   {0x64B, 0x65F},   {0x670, 0x670},   {0x6D6, 0x6DC},
    {0x6DF, 0x6E4},   {0x6E7, 0x6E8},   {0x6EA, 0x6ED},   {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF},
    {0x302A, 0x302F}, {0x3099, 0x309A}, {0xFE20, 0xFE2F},
});

// Punctuation, symbols, emoji, private use; what is unassigned between two of them as well.
inline constexpr auto kOrnaments = std::to_array<ScalarRange>({
    {0xA1, 0xA9},       {0xAB, 0xB1},       {0xB4, 0xB4},       {0xB6, 0xB8},        {0xBB, 0xBB},
    {0xBF, 0xBF},       {0xD7, 0xD7},       {0xF7, 0xF7},       {0x2C2, 0x2C5},      {0x2D2, 0x2DF},
    {0x2E5, 0x2EB},     {0x2ED, 0x2ED},     {0x2EF, 0x2FF},     {0x375, 0x375},      {0x37E, 0x37E},
    {0x384, 0x385},     {0x387, 0x387},     {0x3F6, 0x3F6},     {0x482, 0x482},      {0x55A, 0x55F},
    {0x589, 0x5C6},     {0x5F3, 0x61F},     {0x66A, 0x66D},     {0x6D4, 0x6D4},      {0x6DD, 0x6DE},
    {0x6E9, 0x6E9},     {0x6FD, 0x6FE},     {0x700, 0x70F},     {0x7F6, 0x7F9},      {0x7FE, 0x7FF},
    {0x830, 0x83E},     {0x85E, 0x85E},     {0x888, 0x888},     {0x890, 0x891},      {0x8E2, 0x8E2},
    {0x964, 0x965},     {0x970, 0x970},     {0x9F2, 0x9F3},     {0x9FA, 0x9FB},      {0x9FD, 0x9FD},
    {0xA76, 0xA76},     {0xAF0, 0xAF1},     {0xB70, 0xB70},     {0xBF3, 0xBFA},      {0xC77, 0xC77},
    {0xC7F, 0xC7F},     {0xC84, 0xC84},     {0xD4F, 0xD4F},     {0xD79, 0xD79},      {0xDF4, 0xDF4},
    {0xE3F, 0xE3F},     {0xE4F, 0xE4F},     {0xE5A, 0xE5B},     {0xF01, 0xF0A},      {0xF0D, 0xF17},
    {0xF1A, 0xF1F},     {0xF34, 0xF34},     {0xF36, 0xF36},     {0xF38, 0xF38},      {0xF3A, 0xF3D},
    {0xF85, 0xF85},     {0xFBE, 0xFC5},     {0xFC7, 0xFDA},     {0x104A, 0x104F},    {0x109E, 0x109F},
    {0x10FB, 0x10FB},   {0x1360, 0x1360},   {0x1362, 0x1368},   {0x1390, 0x1399},    {0x1400, 0x1400},
    {0x166D, 0x166E},   {0x169B, 0x169C},   {0x16EB, 0x16ED},   {0x1735, 0x1736},    {0x17D4, 0x17D6},
    {0x17D8, 0x17DB},   {0x1800, 0x180A},   {0x1940, 0x1945},   {0x19DE, 0x19FF},    {0x1A1E, 0x1A1F},
    {0x1AA0, 0x1AA6},   {0x1AA8, 0x1AAD},   {0x1B5A, 0x1B6A},   {0x1B74, 0x1B7E},    {0x1BFC, 0x1BFF},
    {0x1C3B, 0x1C3F},   {0x1C7E, 0x1C7F},   {0x1CC0, 0x1CC7},   {0x1CD3, 0x1CD3},    {0x1FBD, 0x1FBD},
    {0x1FBF, 0x1FC1},   {0x1FCD, 0x1FCF},   {0x1FDD, 0x1FDF},   {0x1FED, 0x1FEF},    {0x1FFD, 0x205E},
    {0x207A, 0x207E},   {0x208A, 0x208E},   {0x20A0, 0x2101},   {0x2103, 0x2106},    {0x2108, 0x2109},
    {0x2114, 0x2114},   {0x2116, 0x2118},   {0x211E, 0x2123},   {0x2125, 0x2125},    {0x2127, 0x2127},
    {0x2129, 0x2129},   {0x212E, 0x212E},   {0x213A, 0x213B},   {0x2140, 0x2144},    {0x214A, 0x214D},
    {0x214F, 0x214F},   {0x218A, 0x244A},   {0x249C, 0x24E9},   {0x2500, 0x2775},    {0x2794, 0x2BFF},
    {0x2CE5, 0x2CEA},   {0x2CF9, 0x2CFC},   {0x2CFE, 0x2CFF},   {0x2D70, 0x2D70},    {0x2E00, 0x2E2E},
    {0x2E30, 0x3004},   {0x3008, 0x3020},   {0x3030, 0x3030},   {0x3036, 0x3037},    {0x303D, 0x303F},
    {0x309B, 0x309C},   {0x30A0, 0x30A0},   {0x30FB, 0x30FB},   {0x3190, 0x3191},    {0x3196, 0x319F},
    {0x31C0, 0x31E3},   {0x3200, 0x321E},   {0x322A, 0x3247},   {0x3250, 0x3250},    {0x3260, 0x327F},
    {0x328A, 0x32B0},   {0x32C0, 0x33FF},   {0x4DC0, 0x4DFF},   {0xA490, 0xA4C6},    {0xA4FE, 0xA4FF},
    {0xA60D, 0xA60F},   {0xA673, 0xA673},   {0xA67E, 0xA67E},   {0xA6F2, 0xA716},    {0xA720, 0xA721},
    {0xA789, 0xA78A},   {0xA828, 0xA82B},   {0xA836, 0xA839},   {0xA874, 0xA877},    {0xA8CE, 0xA8CF},
    {0xA8F8, 0xA8FA},   {0xA8FC, 0xA8FC},   {0xA92E, 0xA92F},   {0xA95F, 0xA95F},    {0xA9C1, 0xA9CD},
    {0xA9DE, 0xA9DF},   {0xAA5C, 0xAA5F},   {0xAA77, 0xAA79},   {0xAADE, 0xAADF},    {0xAAF0, 0xAAF1},
    {0xAB5B, 0xAB5B},   {0xAB6A, 0xAB6B},   {0xABEB, 0xABEB},   {0xD800, 0xF8FF},    {0xFB29, 0xFB29},
    {0xFBB2, 0xFBC2},   {0xFD3E, 0xFD4F},   {0xFDCF, 0xFDCF},   {0xFDFC, 0xFE6B},    {0xFF01, 0xFF0F},
    {0xFF1A, 0xFF20},   {0xFF3B, 0xFF40},   {0xFF5B, 0xFF65},   {0xFFE0, 0xFFFD},    {0x1CF50, 0x1D164},
    {0x1D16A, 0x1D1FF}, {0x1D300, 0x1D356}, {0x1F000, 0x1FAFF}, {0xF0000, 0x10FFFF},
});

}  // namespace vlmprobe::text::detail
