/// Words of a text as numbers, for comparisons that look past case, punctuation and spacing.
///
/// A run of letters and digits is a word. Scripts that put no spaces between words (Chinese characters, kana, Thai …) count by the
/// character.
enum TextTokens {
    /// One 64-bit hash for each word.
    static func hashes(of text: String) -> [UInt64] {
        var tokens: [UInt64] = []
        var hash = TextHash()
        for scalar in text.unicodeScalars {
            if scalar.value < 0x80 {
                let byte = UInt8(truncatingIfNeeded: scalar.value)
                switch byte {
                case 0x41...0x5A: hash.add(byte | 0x20)
                case 0x30...0x39, 0x61...0x7A: hash.add(byte)
                default: hash.end(into: &tokens)
                }
            } else if standsAlone(scalar) {
                hash.end(into: &tokens)
                hash.add(scalar)
                hash.end(into: &tokens)
            } else if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                for lower in scalar.properties.lowercaseMapping.unicodeScalars { hash.add(lower) }
            } else if scalar.properties.canonicalCombiningClass == .notReordered {
                hash.end(into: &tokens)
            }
        }
        hash.end(into: &tokens)
        return tokens
    }

    /// Hashes of all runs of `length` words; one of all words where there are fewer, none where there is no word.
    static func ngrams(of tokens: [UInt64], length: Int) -> [UInt64] {
        guard !tokens.isEmpty else { return [] }
        guard tokens.count > length else { return [combined(tokens[...])] }
        return (0...(tokens.count - length)).map { combined(tokens[$0..<($0 + length)]) }
    }

    private static func combined(_ tokens: ArraySlice<UInt64>) -> UInt64 {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(tokens.count)
        for token in tokens { state = mixed(state &* 0x100_0000_01B3 ^ token) }
        return state
    }

    /// Spreads the bits of a number (the finalizer of SplitMix64).
    static func mixed(_ number: UInt64) -> UInt64 {
        var mixed = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private static func standsAlone(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0E00...0x0EFF, 0x1000...0x109F, 0x1780...0x17FF: scalar.properties.isAlphabetic  // Thai, Lao, Burmese, Khmer
        case 0x3040...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x3FFFF: scalar.properties.isAlphabetic
        default: false
        }
    }
}

/// FNV-1a over the characters of one word.
private struct TextHash {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325
    private var isEmpty = true

    mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
        isEmpty = false
    }

    mutating func add(_ scalar: Unicode.Scalar) { for byte in String(scalar).utf8 { add(byte) } }

    mutating func end(into tokens: inout [UInt64]) {
        if isEmpty { return }
        tokens.append(TextTokens.mixed(state))
        self = TextHash()
    }
}
