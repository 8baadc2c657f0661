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
        let (compiled, compileTime) = try await compile(try job.folder.place(job.model, key: "model"), name: job.model)
        defer { try? FileManager.default.removeItem(at: compiled) }
        // A thread of its own with the priority of what a person waits for: not the small cores.
        let measured = try await Task.detached(priority: .userInitiated) {
            try measureModel(job, memory: Phone.memory) {
                // Without a pool of its own the first model could live on until the thread ends.
                try autoreleasepool {
                    try CoreMLModel(
                        compiled: compiled, units: job.computeUnits, height: job.height, width: job.width,
                        name: job.model)
                }
            }
        }.value
        let after = await Phone.state()
        let (plan, planErrors) = await plan(of: compiled, for: job)
        let report = Report(
            job: job, measured: measured, startedUTC: started, compile: compileTime,
            runtimeVersion: device.os, device: device, before: before, after: after,
            edgekit: bundleVersion(of: BenchTests.self),
            harness: ProcessInfo.processInfo.environment["EDGEKIT_HARNESS"], errors: planErrors)
        if let plan {
            try job.folder.write(plan, as: BenchProtocol.computePlanFile, key: "compute plan")
            attach(plan, name: "edgekit-compute-plan-\(job.runID).json")
        }
        attach(try report.write(), name: "edgekit-result-\(job.runID).json")
    }

    /// A measurement is kept where its plan cannot be had.
    private func plan(of compiled: URL, for job: Job) async -> (Data?, [String]) {
        do {
            let plan = try await computePlan(of: compiled, units: job.computeUnits, runID: job.runID)
            return (plan?.document(), [])
        } catch {
            return (nil, ["no \(BenchProtocol.computePlanFile): \(error.localizedDescription)"])
        }
    }
}
