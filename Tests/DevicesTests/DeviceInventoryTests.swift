import Glibc
import Testing

@testable import Devices

struct DeviceInventoryTests {
    @Test func modesAreRead() {
        #expect(GPUMode(parsing: "auto") == .auto)
        #expect(GPUMode(parsing: "none") == GPUMode.none)
        #expect(GPUMode(parsing: "sim:1") == .simulated(1))
        #expect(GPUMode(parsing: "sim:1024") == .simulated(1_024))
    }

    @Test(arguments: ["", "Auto", "sim", "sim:", "sim:0", "sim:-1", "sim:+1", "sim:1025", "sim:2x", "2"])
    func otherModesAreRefused(text: String) {
        #expect(GPUMode(parsing: text) == nil)
    }

    @Test func noneHasNoDevices() throws {
        let inventory = try DeviceInventory(mode: .none)
        #expect(inventory.source == "none")
        #expect(inventory.devices().isEmpty)
        #expect(inventory.readings().isEmpty)
        #expect(inventory.message == "GPUs are turned off")
    }

    @Test func simulatedDevicesSayThatTheyAre() throws {
        let inventory = try DeviceInventory(mode: .simulated(16))
        #expect(inventory.source == "simulated")
        let devices = inventory.devices()
        #expect(devices.count == 16)
        #expect(devices[3].uuid == "GPU-sim-00000000-0000-0000-0000-000000000003")
        #expect(devices[15].uuid == "GPU-sim-00000000-0000-0000-0000-000000000015")
        #expect(devices.allSatisfy { $0.isSimulated && $0.memoryBytes == 80 << 30 && $0.name.hasPrefix("Simulated") })
        // Nothing is made up: what does not exist has no readings.
        #expect(inventory.readings().allSatisfy { $0.utilization == nil && $0.temperature == nil && $0.processes == nil })
    }

    @Test func autoFindsTheDriverOrSaysWhyNot() throws {
        let inventory = try DeviceInventory(mode: .auto)
        if inventory.source == "none" {
            #expect(inventory.devices().isEmpty)
            #expect(inventory.message.hasPrefix("no GPUs: ") || inventory.message == "the NVIDIA driver knows no GPU")
        } else {
            #expect(inventory.source == "nvml")
            #expect(inventory.devices().allSatisfy { $0.uuid.hasPrefix("GPU-") && $0.memoryBytes > 1 << 30 && !$0.isSimulated })
            #expect(inventory.readings().allSatisfy { $0.processes != nil })
        }
    }

    @Test func aMissingLibraryIsNoError() throws {
        guard case .failure(let absence) = try NVML.load("libno-such-library.so.1") else { throw Unexpected() }
        #expect(absence.reason.contains("libno-such-library.so.1"))
    }

    @Test func aLibraryThatIsAnotherIsNoError() throws {
        guard case .failure(let absence) = try NVML.load("libc.so.6") else { throw Unexpected() }
        #expect(absence.reason == "libc.so.6 has no function nvmlInit_v2")
    }

    struct Unexpected: Error {}
}
