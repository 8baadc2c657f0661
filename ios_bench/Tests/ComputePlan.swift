// Where Core ML means to run each operator of the main function: compute-plan.json, schema edgekit.compute-plan/1.
import CoreML
import Foundation

/// nil where iOS is too old to tell, or the model is not an ML program.
func computePlan(of compiled: URL, units: ComputeUnits, runID: String) async throws -> JSON? {
    guard #available(iOS 17.4, *) else { return nil }
    let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration(units))
    guard case .program(let program) = plan.modelStructure, let main = program.functions["main"] else { return nil }
    let operators = main.block.operations.map { operation -> JSON in
        let usage = plan.deviceUsage(for: operation)
        return .object([
            "name": .text(operation.outputs.first.map { shown($0.name, most: BenchProtocol.maxText) }),
            "type": .text(shown(operation.operatorName, most: BenchProtocol.maxText)),
            "preferred": .text(usage.flatMap { name(of: $0.preferred) }),
            "supported": usage.map { .list($0.supported.compactMap(name(of:)).map { .text($0) }) } ?? .null,
            "cost": .number(plan.estimatedCost(of: operation)?.weight),
        ])
    }
    return .object([
        "schema": .text(BenchProtocol.computePlanSchema), "run_id": .text(runID),
        "compute_units": .text(units.rawValue), "operators": .list(operators),
    ])
}

@available(iOS 17.4, *)
private func name(of device: MLComputeDevice) -> String? {
    switch device {
    case .cpu: return "cpu"
    case .gpu: return "gpu"
    case .neuralEngine: return "neuralEngine"
    @unknown default: return nil
    }
}
