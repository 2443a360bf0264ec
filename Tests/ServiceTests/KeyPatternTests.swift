import Service
import Testing

@Suite struct KeyPatternTests {
    @Test(arguments: [
        ("train/loss", "train/loss", true), ("train/loss", "train/loss2", false), ("train/*", "train/loss", true),
        ("train/*", "train/", true),
        ("train/*", "val/loss", false), ("*loss", "train/loss", true), ("*loss", "loss/train", false), ("*", "", true), ("*", "a/b", true),
        ("a*b*c", "abc", true), ("a*b*c", "a/b/c", true), ("a*b*c", "acb", false), ("a*a", "a", false), ("a*a", "aa", true),
        ("*ab*ab", "abab", true), ("*ab*ab", "ab", false), ("**", "x", true), ("a*é", "aé", true), ("", "", true), ("", "a", false),
    ])
    func matches(pattern: String, key: String, fits: Bool) {
        #expect(KeyPattern(pattern).matches(key) == fits)
    }
}
