import JSON

/// Reads a value in the language of Hydra's overrides, which OmegaConf's resolvers take for their arguments too: texts with and without
/// quotes, numbers, booleans, null, lists, mappings and `${…}`.
struct NemoRLValueText {
    /// Why a text is no value.
    struct Failure: Error {
        var detail: String
    }

    private var rest: Substring
    /// `${…}` may hold braces of its own. Hydra's own language ends one at the first brace.
    private let nestsReferences: Bool

    private init(_ text: Substring, nestsReferences: Bool) { (rest, self.nestsReferences) = (text, nestsReferences) }

    /// The value after the `=` of an override; a text of nothing where there is none.
    static func value(of text: Substring) throws(Failure) -> JSONValue {
        var reader = Self(text, nestsReferences: false)
        reader.skipSpaces()
        guard !reader.rest.isEmpty else { return .string("") }
        let value = try reader.element()
        if reader.rest.first == "," {
            throw Failure(detail: "a value with a comma is taken for a sweep; put it in quotes: key=\"'a,b'\"")
        }
        guard reader.rest.isEmpty else { throw Failure(detail: "'\(reader.rest)' follows the end of the value; put the whole in quotes") }
        return value
    }

    /// The arguments of a resolver.
    static func arguments(of text: Substring) throws(Failure) -> [JSONValue] {
        var reader = Self(text, nestsReferences: true)
        var values = [try reader.element()]
        while reader.rest.first == "," {
            reader.rest.removeFirst()
            values.append(try reader.element())
        }
        guard reader.rest.isEmpty else { throw Failure(detail: "'\(reader.rest)' follows the end of an argument") }
        return values
    }

    private mutating func skipSpaces() { rest = rest.drop { $0 == " " || $0 == "\t" } }

    private mutating func element() throws(Failure) -> JSONValue {
        skipSpaces()
        let value: JSONValue
        switch rest.first {
        case "'"?, "\""?: value = .string(try quoted())
        case "["?: value = .array(try list())
        case "{"?: value = .object(try mapping())
        default: value = Self.typed(try plain(isKey: false))
        }
        skipSpaces()
        return value
    }

    private mutating func quoted() throws(Failure) -> String {
        let quote = rest.removeFirst()
        var text = ""
        while let character = rest.popFirst() {
            if character == quote { return text }
            guard character == "\\" else { text.append(character); continue }
            // Backslashes are halved where a quote follows them, and stay as they are elsewhere.
            var count = 1
            while rest.first == "\\" { rest.removeFirst(); count += 1 }
            guard rest.first == quote else { text += String(repeating: "\\", count: count); continue }
            text += String(repeating: "\\", count: count / 2)
            if count % 2 == 1 { text.append(rest.removeFirst()) }
        }
        throw Failure(detail: "a quote without its end")
    }

    private mutating func list() throws(Failure) -> [JSONValue] {
        var elements: [JSONValue] = []
        rest.removeFirst()
        skipSpaces()
        guard rest.first != "]" else { rest.removeFirst(); return [] }
        repeat {
            elements.append(try element())
        } while try goesOn(to: "]", of: "[")
        return elements
    }

    private mutating func mapping() throws(Failure) -> JSONObject {
        var members: JSONObject = [:]
        rest.removeFirst()
        skipSpaces()
        guard rest.first != "}" else { rest.removeFirst(); return [:] }
        repeat {
            skipSpaces()
            let key = try plain(isKey: true)
            guard rest.popFirst() == ":" else {
                throw Failure(detail: "a mapping needs ':' after each key, as in {a: 1}, its keys no quotes")
            }
            members[key] = try element()
        } while try goesOn(to: "}", of: "{")
        return members
    }

    /// True after a comma, false after the closing sign.
    private mutating func goesOn(to end: Character, of start: Character) throws(Failure) -> Bool {
        switch rest.popFirst() {
        case ","?: return true
        case end?: return false
        default: throw Failure(detail: "a '\(start)' without its end")
        }
    }

    /// A run of what may stand without quotes, with its escapes taken out.
    private mutating func plain(isKey: Bool) throws(Failure) -> String {
        var text = ""
        var ends = 0
        loop: while let character = rest.first {
            if rest.hasPrefix("${"), !isKey {
                text += try reference()
                ends = text.count
                continue
            }
            switch character {
            case ",", "]", "}": break loop
            case ":" where isKey: break loop
            case "\\":
                rest.removeFirst()
                if let next = rest.first, "\\()[]{}:=, \t".contains(next) { text.append(rest.removeFirst()) } else { text.append("\\") }
            case "(" where !text.isEmpty:
                throw Failure(detail: "'\(text)(…)' is taken for the call of a function; put a text in quotes, and write a value as it is")
            default:
                guard character.isASCII, character.isLetter || character.isNumber || "_/-+.$%*@?|: \t".contains(character) else {
                    throw Failure(detail: "'\(character)' stands only within quotes: key=\"'…'\"")
                }
                text.append(rest.removeFirst())
                if character == " " || character == "\t" { continue }
            }
            ends = text.count
        }
        guard ends > 0 else { throw Failure(detail: "a value is missing before '\(rest.prefix(1))'") }
        return String(text.prefix(ends))
    }

    private mutating func reference() throws(Failure) -> String {
        var (depth, text) = (0, "")
        while let character = rest.popFirst() {
            text.append(character)
            if character == "{" { depth += 1 }
            if character == "}" { depth -= 1 }
            if character == "}", depth == 0 || !nestsReferences { return text }
        }
        throw Failure(detail: "a '${' without its '}'")
    }

    /// A text without quotes as the number, boolean or null that it is.
    private static func typed(_ text: String) -> JSONValue {
        switch text.lowercased() {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "nan", "+nan", "-nan": return .double(.nan)
        case "inf", "+inf": return .double(.infinity)
        case "-inf": return .double(-.infinity)
        default: break
        }
        if text.wholeMatch(of: /[+\-]?(0|[1-9](_?[0-9])*)/) != nil { return NemoRLScalar.resolve(text) }
        let exponent = /[+\-]?(0|[1-9](_?[0-9])*)?(\.([0-9](_?[0-9])*)?)?([eE][+\-]?[0-9](_?[0-9])*)?/
        guard text.contains(where: \.isNumber), text.wholeMatch(of: exponent) != nil else { return .string(text) }
        // Without a sign, which YAML takes before no point.
        let unsigned = String(text.drop { $0 == "+" || $0 == "-" }).replacing("_", with: "")
        guard let value = NemoRLScalar.resolve(unsigned.hasPrefix(".") ? "0" + unsigned : unsigned).double else { return .string(text) }
        return .double(text.hasPrefix("-") ? -value : value)
    }
}
