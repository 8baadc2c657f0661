// testMeasure: the job in Documents/edgekit-job becomes a result, beside it and as an attachment.
import Foundation
import ObjectiveC
import XCTest

final class BenchTests: XCTestCase {
    func testMeasure() async {
        await reported { try await measureJob() }
    }

    private func measureJob() async throws {
        let started = utcNow()
        let job = try Job(folder: try documents(BenchProtocol.jobFolder))
        await Phone.waitUntilInFront()
        let device = await Phone.device()
        let before = await Phone.state()
        let ready = try await prepare(
            try job.folder.place(job.model, key: "model"), format: job.format, units: job.computeUnits, name: job.model)
        defer { ready.remove() }
        // A thread of its own with the priority of what a person waits for: not the small cores.
        let measured = try await Task.detached(priority: .userInitiated) {
            try await measureModel(job, photos: .device, memory: Phone.memory) {
                try await ready.open(height: job.height, width: job.width)
            }
        }.value
        let after = await Phone.state()
        let (plan, planErrors) = await plan(of: ready, for: job)
        let report = Report(
            job: job, measured: measured, startedUTC: started, compile: ready.took,
            runtimeVersion: device.os, device: device, before: before, after: after,
            edgekit: bundleVersion(of: BenchTests.self),
            harness: ProcessInfo.processInfo.environment["EDGEKIT_HARNESS"], errors: planErrors)
        if let plan {
            try job.folder.write(plan, as: BenchProtocol.computePlanFile, key: "compute plan")
            attach(plan, name: "edgekit-compute-plan-\(job.runID).json")
        }
        attach(try report.write(sha256: hexadecimal), name: "edgekit-result-\(job.runID).json")
    }

    /// A measurement is kept where its plan cannot be had. Core AI tells no app where it runs an operator.
    private func plan(of ready: any Prepared, for job: Job) async -> (Data?, [String]) {
        guard let ready = ready as? PreparedCoreML else { return (nil, []) }
        do {
            return (try await ready.plan(runID: job.runID)?.document(), [])
        } catch {
            return (nil, ["no \(BenchProtocol.computePlanFile): \(error.localizedDescription)"])
        }
    }
}
