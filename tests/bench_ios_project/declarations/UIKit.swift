// https://developer.apple.com/documentation/uikit
import CoreGraphics
import Foundation

@MainActor
public class UIDevice: NSObject {
    public enum BatteryState: Int { case unknown, unplugged, charging, full }
    public static var current: UIDevice { fatalError() }
    public var systemVersion: String { fatalError() }
    public var isBatteryMonitoringEnabled: Bool { get { fatalError() } set { fatalError() } }
    public var batteryLevel: Float { fatalError() }
    public var batteryState: BatteryState { fatalError() }
}

@MainActor
public class UIApplication: NSObject {
    public enum State: Int { case active, inactive, background }
    public static var shared: UIApplication { fatalError() }
    public var isIdleTimerDisabled: Bool { get { fatalError() } set { fatalError() } }
    public var applicationState: State { fatalError() }
}

public class UIImage: NSObject {
    public init?(data: Data) { fatalError() }
    public var cgImage: CGImage? { fatalError() }
}

/// Not in Foundation on Linux.
extension ProcessInfo {
    public enum ThermalState: Int { case nominal, fair, serious, critical }
    public var thermalState: ThermalState { fatalError() }
    public var isLowPowerModeEnabled: Bool { fatalError() }
}
