import CUV

/// Bytes on their way out, in memory that does not move while libuv sends them.
final class OutputBuffer {
    /// An emptied buffer gives back memory beyond this.
    private static let keptBytes = 16 << 10

    private var memory: UnsafeMutableRawPointer
    private var capacity: Int
    private var end = 0
    private var start = 0
    /// The request that sends the bytes; in use from `uv_write` to its callback.
    let request: UnsafeMutablePointer<uv_write_t>

    init() {
        capacity = 1024
        memory = .allocate(byteCount: capacity, alignment: 16)
        request = .allocate(capacity: 1)
    }

    deinit {
        memory.deallocate()
        request.deallocate()
    }

    /// Bytes that have not been sent.
    var count: Int { end - start }
    var isEmpty: Bool { end == start }
    /// The unsent bytes; valid until the next change.
    var unsent: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

    /// Marks bytes at the front as sent.
    func consume(_ count: Int) {
        start += count
        if start == end { clear() }
    }

    private func clear() {
        start = 0
        end = 0
        guard capacity > Self.keptBytes else { return }
        memory.deallocate()
        capacity = Self.keptBytes
        memory = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Room for so many bytes more at the end.
    @inline(__always)
    private func reserve(_ count: Int) {
        if capacity - end < count { grow(count) }
    }

    @inline(never)
    private func grow(_ count: Int) {
        let wanted = max(capacity * 2, self.count + count)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        larger.copyMemory(from: memory + start, byteCount: self.count)
        memory.deallocate()
        memory = larger
        end -= start
        start = 0
        capacity = wanted
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (memory + end).copyMemory(from: source, byteCount: bytes.count)
        end += bytes.count
    }

    func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

    func append(_ bytes: ArraySlice<UInt8>) { bytes.withUnsafeBytes { append($0) } }

    func append(_ text: StaticString) { append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)) }

    func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends the text of a field; what could end the field and begin another becomes a space (response splitting).
    func append(fieldText text: String) {
        let first = end
        append(text)
        let added = UnsafeMutableRawBufferPointer(start: memory + first, count: end - first)
        for index in added.indices where added[index] < 0x20 && added[index] != 0x09 { added[index] = 0x20 }
    }

    /// Appends a number in the given radix, 10 or 16.
    func append(number: Int, radix: Int = 10) {
        precondition(number >= 0, "a length is not negative")
        reserve(20)
        var rest = number
        var digits = 1
        while rest >= radix {
            rest /= radix
            digits += 1
        }
        rest = number
        for index in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(truncatingIfNeeded: rest % radix)
            (memory + end + index).storeBytes(of: digit < 10 ? 48 + digit : 87 + digit, as: UInt8.self)
            rest /= radix
        }
        end += digits
    }
}
