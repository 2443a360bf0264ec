extension ReadTransaction {
    /// SQLite's quick check of the whole database: `ok`, or what is wrong.
    public func quickCheck() throws -> String { try rows("PRAGMA quick_check(10)", []) { $0.text() }.joined(separator: "; ") }
}
