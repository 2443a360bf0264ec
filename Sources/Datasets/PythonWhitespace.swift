/// What Python's `str.isspace` calls white space, in UTF-8.
enum PythonWhitespace {
    /// Bytes of the white-space character at `offset`; 0 where another character stands there.
    static func length(in bytes: UnsafeBufferPointer<UInt8>, at offset: Int) -> Int {
        func byte(_ distance: Int) -> UInt8 { offset + distance < bytes.count ? bytes[offset + distance] : 0 }
        switch bytes[offset] {
        case 0x09...0x0D, 0x1C...0x20: return 1
        case 0xC2: return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0  // U+0085, U+00A0
        case 0xE1: return byte(1) == 0x9A && byte(2) == 0x80 ? 3 : 0  // U+1680
        case 0xE2:
            // U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F
            switch (byte(1), byte(2)) {
            case (0x80, 0x80...0x8A), (0x80, 0xA8), (0x80, 0xA9), (0x80, 0xAF), (0x81, 0x9F): return 3
            default: return 0
            }
        case 0xE3: return byte(1) == 0x80 && byte(2) == 0x80 ? 3 : 0  // U+3000
        default: return 0
        }
    }
}
