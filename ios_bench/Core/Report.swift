// The result, an edgekit.bench/1 document. Whoever reads it computes the percentiles from the samples.
import Foundation

/// The device at one moment; nil is unknown.
struct State: Sendable {
    var thermalStatus: Int?
    var batteryPercent: Double?
    var charging: Bool?
    var lowPower: Bool?
    var inFront: Bool?

    var json: JSON {
        .object([
            "thermal_status": .whole(thermalStatus), "battery_pct": .number(batteryPercent),
            "charging": .bool(charging), "low_power": .bool(lowPower),
        ])
    }
}

struct Device: Sendable {
    var model: String?
    var os: String?
    var abi: String?
    var ramBytes: Int?
    var cores: Int?
    var emulated: Bool

    var json: JSON {
        let listed = cores.map { count in JSON.list((0..<count).map { .object(["id": .whole(Int64($0))]) }) }
        return .object([
            "platform": .text("ios"), "manufacturer": .text("Apple"), "model": .text(model), "os": .text(os),
            "abi": .text(abi), "ram_bytes": .whole(ramBytes), "cores": listed ?? .null, "emulated": .bool(emulated),
        ])
    }
}

struct Report: Sendable {
    let job: Job
    let measured: Measurement
    let startedUTC: String
    let compile: UInt64?
    let runtimeVersion: String?
    let device: Device
    let before: State
    let after: State
    let edgekit: String
    let harness: String?
    let errors: [String]

    var reasons: [String] {
        var reasons: [String] = []
        if device.emulated { reasons.append("emulated") }
        if !measured.check.passed(job.minCosine) { reasons.append("wrong-output") }
        if before.inFront == false || after.inFront == false { reasons.append("background") }
        if before.lowPower == true || after.lowPower == true { reasons.append("low-power") }
        return reasons
    }

    func json(_ embeddings: JSON?) -> JSON {
        var fields: [String: JSON] = [
            "schema": .text(BenchProtocol.resultSchema),
            "run_id": .text(job.runID),
            "started_utc": .text(startedUTC),
            "tool": .object([
                "edgekit": .text(shown(edgekit)), "runner": .text("ios-app"),
                "harness": .text(harness.map { shown($0) }),
            ]),
            "model": job.facts,
            "runtime": .object([
                "name": .text(job.format.rawValue), "version": .text(runtimeVersion),
                "backend": .text(job.computeUnits.asked(of: job.format)), "threads": .null,
            ]),
            "device": device.json,
            "protocol": .object([
                "warmup": .whole(job.warmup), "min_iterations": .whole(job.iterations),
                "min_duration_s": .number(job.duration), "iterations": .whole(measured.samples.count),
                "inputs": .whole(job.count), "screen_on": before.inFront == true ? .bool(true) : .null,
            ]),
            "state": .object(["before": before.json, "after": after.json]),
            "latency_ms": .object([
                "cold_load": milliseconds(measured.coldLoad), "warm_load": milliseconds(measured.warmLoad),
                "compile": compile.map(milliseconds) ?? .null, "first": milliseconds(measured.first),
                "samples": .list(measured.samples.map(milliseconds)),
            ]),
            "memory_bytes": .object([
                "peak_rss": .whole(measured.memory.residentPeak), "loaded": .whole(measured.loaded),
                "phys_footprint_peak": .whole(measured.memory.footprintPeak),
            ]),
            "check": .object([
                "images": .whole(measured.check.images),
                "min_cosine": measured.check.comparable ? .number(measured.check.minCosine) : .null,
                "max_abs": measured.check.comparable ? .number(measured.check.maxAbs) : .null,
                "passed": .bool(measured.check.passed(job.minCosine)),
            ]),
            "validity": .object(["valid": .bool(reasons.isEmpty), "reasons": .list(reasons.map { .text($0) })]),
            "errors": .list(errors.map { .text(shown($0, most: 400)) }),
        ]
        if let embeddings { fields["embeddings"] = embeddings }
        return .object(fields)
    }

    /// Write the embeddings where the job asks for them, then the result; what is returned is what its file holds.
    func write(sha256: ([UInt8]) -> String) throws -> Data {
        guard let name = job.embeddings, let rows = measured.embeddings else { return try write(json(nil)) }
        try job.folder.write(rows, as: name, key: Job.Key.embeddings.rawValue)
        let told = JSON.object([
            "rows": .whole(rows.count / (job.dim * MemoryLayout<Float>.size)), "sha256": .text(sha256([UInt8](rows))),
        ])
        do {
            return try write(json(told))
        } catch {
            try? FileManager.default.removeItem(at: try job.folder.place(name, key: Job.Key.embeddings.rawValue))
            throw error
        }
    }

    private func write(_ result: JSON) throws -> Data {
        let content = result.document()
        try job.folder.write(content, as: job.out, key: Job.Key.out.rawValue)
        return content
    }
}

func milliseconds(_ nanoseconds: UInt64) -> JSON { .number(Double(nanoseconds) / 1e6) }

/// The time now in UTC, as the schema writes it.
func utcNow() -> String { ISO8601DateFormatter().string(from: Date()) }
