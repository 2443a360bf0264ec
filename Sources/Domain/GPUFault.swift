/// A fault of a GPU, as the driver reported it.
public struct GPUFault: Sendable, Hashable {
    public var uuid: String
    /// The driver's error code; `nil` for faults that have none.
    public var xid: Int?
    /// `xid`, `ecc`, `lost` or `remapping`.
    public var kind: String
    public var message: String
    public var at: Timestamp

    /// Makes one from its parts.
    public init(uuid: String, xid: Int?, kind: String, message: String, at: Timestamp) {
        (self.uuid, self.xid, self.kind, self.message, self.at) = (uuid, xid, kind, message, at)
    }

    /// Xids that a program brings about by itself: exceptions of its kernels (13), its page faults (31), its channels being stopped (43, 45),
    /// its video or context switching (68, 69). NVIDIA, "Xid Errors" (docs.nvidia.com/deploy/xid-errors), lists their usual causes.
    private static let ofTheProgram: Set<Int> = [8, 13, 31, 32, 43, 45, 66, 68, 69, 70]
    /// Notices without a fault: rows were remapped as they should be (63), a repair is advised (154).
    private static let notices: Set<Int> = [63, 137, 154]

    /// True where the GPU itself is to blame, so that nobody should be given it before it has been looked at.
    public var isOfDevice: Bool {
        guard let xid else { return true }
        return !Self.ofTheProgram.contains(xid) && !Self.notices.contains(xid)
    }
}
