// What the device says of itself. What it does not say is nil.
import Darwin
import Foundation
import UIKit

enum Phone {
    static var emulated: Bool {
        #if targetEnvironment(simulator)
            return true
        #else
            return false
        #endif
    }

    @MainActor
    static func device() -> Device {
        let process = ProcessInfo.processInfo
        return Device(
            model: emulated ? process.environment["SIMULATOR_MODEL_IDENTIFIER"] : machine(),
            os: "iOS \(UIDevice.current.systemVersion)", abi: abi, ramBytes: Int(process.physicalMemory),
            cores: process.processorCount, emulated: emulated)
    }

    @MainActor
    static func state() -> State {
        let battery = UIDevice.current
        battery.isBatteryMonitoringEnabled = true
        let process = ProcessInfo.processInfo
        return State(
            thermalStatus: thermalStatus(process.thermalState),
            batteryPercent: battery.batteryLevel < 0 ? nil : Double(battery.batteryLevel) * 100,
            charging: charging(battery.batteryState), lowPower: process.isLowPowerModeEnabled,
            inFront: UIApplication.shared.applicationState == .active)
    }

    /// A test may begin a moment before the app is in front; ten seconds are more than it takes.
    @MainActor
    static func waitUntilInFront() async {
        for _ in 0..<100 where UIApplication.shared.applicationState != .active {
            try? await Task.sleep(nanoseconds: 100_000_000)
        }
    }

    static func memory() -> MemoryNow {
        var info = task_vm_info_data_t()
        var count = mach_msg_type_number_t(MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<integer_t>.size)
        let status = withUnsafeMutablePointer(to: &info) { pointer in
            pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) { words in
                task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), words, &count)
            }
        }
        guard status == KERN_SUCCESS else { return MemoryNow() }
        return MemoryNow(
            resident: Int(info.resident_size), residentPeak: Int(info.resident_size_peak),
            footprintPeak: info.ledger_phys_footprint_peak > 0 ? Int(info.ledger_phys_footprint_peak) : nil)
    }

    /// On Android's scale, which the schema has: light is 1, severe is 3, critical is 4.
    private static func thermalStatus(_ state: ProcessInfo.ThermalState) -> Int? {
        switch state {
        case .nominal: return 0
        case .fair: return 1
        case .serious: return 3
        case .critical: return 4
        @unknown default: return nil
        }
    }

    private static func charging(_ state: UIDevice.BatteryState) -> Bool? {
        switch state {
        case .charging, .full: return true
        case .unplugged: return false
        case .unknown: return nil
        @unknown default: return nil
        }
    }

    /// For example iPhone15,2.
    private static func machine() -> String? {
        var size = 0
        guard sysctlbyname("hw.machine", nil, &size, nil, 0) == 0, size > 0, size <= 200 else { return nil }
        var name = [UInt8](repeating: 0, count: size)
        guard sysctlbyname("hw.machine", &name, &size, nil, 0) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static var abi: String? {
        #if arch(arm64)
            return "arm64"
        #elseif arch(x86_64)
            return "x86_64"
        #else
            return nil
        #endif
    }
}
