// The formats that an iPhone runs, and the compute units that it may use.

/// What runs here.
enum ModelFormat: String, CaseIterable, Sendable {
    case coreml, coreai

    /// How a folder of this format is called.
    var suffix: String {
        switch self {
        case .coreml: return "mlpackage"
        case .coreai: return "aimodel"
        }
    }
}

/// The names are the schema's and those of MLComputeUnits.
public enum ComputeUnits: String, CaseIterable, Sendable {
    case all, cpuAndNeuralEngine, cpuAndGPU, cpuOnly

    /// What the runtime is asked for: Core AI is told a unit to prefer, and may use the others but for `cpuOnly`.
    func asked(of format: ModelFormat) -> String {
        switch (format, self) {
        case (.coreml, _), (.coreai, .cpuOnly): return rawValue
        case (.coreai, .all): return "default"
        case (.coreai, .cpuAndNeuralEngine): return "prefers neuralEngine"
        case (.coreai, .cpuAndGPU): return "prefers gpu"
        }
    }
}
