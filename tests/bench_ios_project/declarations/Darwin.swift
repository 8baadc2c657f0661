// https://developer.apple.com/documentation/kernel/task_vm_info_data_t
public typealias kern_return_t = Int32
public typealias integer_t = Int32
public typealias mach_msg_type_number_t = UInt32
public typealias mach_port_t = UInt32
public typealias task_flavor_t = UInt32
public typealias mach_vm_size_t = UInt64

public struct task_vm_info_data_t {
    public var resident_size: mach_vm_size_t = 0
    public var resident_size_peak: mach_vm_size_t = 0
    public var phys_footprint: mach_vm_size_t = 0
    public var ledger_phys_footprint_peak: Int64 = 0
    public init() {}
}

public let KERN_SUCCESS: Int32 = 0
public let TASK_VM_INFO: Int32 = 22
public var mach_task_self_: mach_port_t { fatalError() }

public func task_info(
    _ target_task: mach_port_t, _ flavor: task_flavor_t, _ task_info_out: UnsafeMutablePointer<integer_t>?,
    _ task_info_outCnt: UnsafeMutablePointer<mach_msg_type_number_t>?
) -> kern_return_t { fatalError() }

public func sysctlbyname(
    _ name: UnsafePointer<CChar>?, _ oldp: UnsafeMutableRawPointer?, _ oldlenp: UnsafeMutablePointer<Int>?,
    _ newp: UnsafeMutableRawPointer?, _ newlen: Int
) -> Int32 { fatalError() }
