// A command line around ios_bench/Core and what is shared, for the tests on Linux: what needs no iPhone.
//
//   core measure FOLDER [FAULT...]       measure a linear model that is worked out here, write the result; photos'
//                                        pixels stand beside them
//   core coreai FOLDER                   measure the asset that job.json names with declarations/CoreAI.swift
//   core preprocess FOLDER               cases.json: raw decoded pixels and a preprocessing each
//   core orientation FOLDER              one number a line for the files 0, 1, 2 ...
//   core golden FOLDER                   one JSON document; photos' pixels stand beside them, as FILE.rgb
//   core model FOLDER                    which file of a golden folder is the model
import Foundation

func fail(_ problem: Problem) -> Never {
    FileHandle.standardError.write(Data("core: \(problem.line)\n".utf8))
    exit(problem.kind.rawValue)
}

/// embedding[d] is the sum over i of pixel[i] * weight(d, i): another image gives another embedding.
final class Linear: Model {
    private let dim: Int
    private let faults: Set<String>
    private let weights = [UInt8](repeating: 1, count: 96 << 20)  // so that opening shows in the peak
    private var pixels: [UInt8] = []
    private var output: [Float]?
    private(set) static var opened = 0
    private(set) static var open = 0

    init(dim: Int, faults: Set<String>) throws {
        if faults.contains("does-not-open") { throw Problem.runtime("linear: cannot be opened: test") }
        if faults.contains("does-not-open-twice"), Linear.opened == 1 { throw CocoaError(.fileReadUnknown) }
        if Linear.open > 0 { throw Problem.runtime("linear: the first one is still open") }
        if faults.contains("slow") { Thread.sleep(forTimeInterval: Linear.opened == 0 ? 0.08 : 0.02) }
        self.dim = dim
        self.faults = faults
        Linear.opened += 1
        Linear.open += 1
    }

    deinit { Linear.open -= 1 }

    func set(_ pixels: UnsafeBufferPointer<UInt8>) throws {
        if faults.contains("slow-input") { Thread.sleep(forTimeInterval: 0.02) }
        if !(faults.contains("stale-input") && !self.pixels.isEmpty) { self.pixels = Array(pixels) }
        if !faults.contains("stale-output") { output = nil }
    }

    func run() throws {
        if faults.contains("slow") { Thread.sleep(forTimeInterval: 0.01) }
        if faults.contains("does-not-run") { throw CocoaError(.fileReadCorruptFile) }
        if faults.contains("stale-output"), output != nil { return }
        if faults.contains("no-output") { return }
        output = (0..<dim).map { d in
            var sum = 0.0
            for (i, pixel) in pixels.enumerated() { sum += Double(pixel) * Double((i * 31 + d * 17) % 101 - 50) }
            return Float(sum / 1000)
        }
        if faults.contains("zeros") { output = [Float](repeating: 0, count: dim) }
        if faults.contains("not-a-number") { output?[dim - 1] = .nan }
        if faults.contains("huge") { output?[0] = 3e7 }
        if faults.contains("short") { output?.removeLast() }
    }

    func embedding() throws -> [Float] {
        guard let output else { throw Problem.runtime("linear: gave no output: test") }
        return output
    }
}

/// As Linux tells it; on a phone it is task_info.
func memoryNow() -> MemoryNow {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    func bytes(_ key: String) -> Int? {
        let line = status.split(separator: "\n").first { $0.hasPrefix(key + ":") }
        return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }.map { $0 * 1024 }
    }
    return MemoryNow(resident: bytes("VmRSS"), residentPeak: bytes("VmHWM"), footprintPeak: nil)
}

func runMeasure(_ folder: URL, _ faults: Set<String>, coreAI: Bool = false) async throws {
    let started = utcNow()
    let job = try Job(folder: folder)
    let before = State(
        thermalStatus: 0, batteryPercent: 80, charging: nil, lowPower: faults.contains("low-power"),
        inFront: !faults.contains("background"))
    let asset = try job.folder.place(job.model, key: "model")
    let ready = coreAI ? try await PreparedCoreAI(asset: asset, units: job.computeUnits, name: job.model) : nil
    defer { ready?.remove() }
    let measured: Measurement
    do {
        let photos = PhotoReader(
            pixels: { try decodeRaw(folder.appendingPathComponent(job.photos ?? ""), $1) }, digest: hexadecimal)
        let memory = faults.contains("no-memory") ? { MemoryNow() } : memoryNow
        measured = try await measureModel(job, photos: photos, memory: memory) {
            try await ready?.open(height: job.height, width: job.width) ?? Linear(dim: job.dim, faults: faults)
        }
    } catch {
        throw Problem.from(error, doing: "\(job.model): cannot be measured", advice: "export it again")
    }
    let device = Device(
        model: "iPhone0,0", os: "iOS 17.0", abi: "arm64", ramBytes: nil, cores: 2,
        emulated: faults.contains("emulated"))
    let report = Report(
        job: job, measured: measured, startedUTC: started, compile: ready?.took ?? 1_500_000, runtimeVersion: nil,
        device: device, before: before, after: before, edgekit: "0", harness: "tests\n",
        errors: faults.contains("no-plan") ? ["no plan:\n\u{2028}test"] : [])
    let written = try report.write(sha256: hexadecimal)
    print(written.count)
}

func runPreprocess(_ folder: URL) throws {
    let cases = try JSON.read(folder.appendingPathComponent("cases.json"), name: "cases.json", most: 16 << 20)
    for (index, one) in (cases.items ?? []).enumerated() {
        guard let fields = one.fields, let width = fields["width"]?.integer, let height = fields["height"]?.integer,
            let outHeight = fields["out_height"]?.integer, let outWidth = fields["out_width"]?.integer,
            let filter = Interpolation(rawValue: fields["interpolation"]?.string ?? ""),
            let mode = CropMode(rawValue: fields["crop_mode"]?.string ?? ""), let cropPct = fields["crop_pct"]?.double,
            let fill = fields["fill"]?.items, let turn = fields["orientation"]?.integer
        else { throw Problem.input("cases.json: case \(index) is not whole") }
        let preprocessing = Preprocessing(
            height: outHeight, width: outWidth, interpolation: filter, cropPct: cropPct, cropMode: mode,
            fill: fill.compactMap { $0.integer.flatMap(UInt8.init(exactly:)) })
        let raw = try readFile(folder.appendingPathComponent("\(index).rgb"), name: "\(index).rgb", most: 1 << 28)
        let photo = try Pixels(width: width, height: height, bytes: raw).upright(turn)
        let out = try preprocessing.apply(to: photo)
        try Data(out.bytes).write(to: folder.appendingPathComponent("\(index).out"))
    }
}

func runOrientation(_ folder: URL) throws {
    var index = 0
    while let file = try? readFile(folder.appendingPathComponent("\(index)"), name: "\(index)", most: 1 << 24) {
        print(orientation(of: file))
        index += 1
    }
}

/// Width and height as uint32 little-endian, then the pixels.
func decodeRaw(_ folder: URL, _ file: String) throws -> Pixels {
    let raw = try readFile(folder.appendingPathComponent(file + ".rgb"), name: file, most: 1 << 28)
    let sizes = [0, 4].map { at in raw[at..<at + 4].reversed().reduce(0) { $0 << 8 | Int($1) } }
    return try Pixels(width: sizes[0], height: sizes[1], bytes: Array(raw[8...]))
}

func runGolden(_ folder: URL, _ faults: Set<String>) async throws {
    let golden = try GoldenFolder(folder: folder)
    let found = try await golden.compare(
        model: try Linear(dim: golden.dim, faults: faults), sha256: { String($0.count) },
        decode: { _, file in try decodeRaw(folder, file) })
    print(String(decoding: JSON.list(found.map(\.json)).document(), as: UTF8.self))
    guard found.allSatisfy({ $0.passed(BenchProtocol.minCosine) }) else {
        throw Problem.runtime("the embeddings differ: test")
    }
}

func runModel(_ folder: URL) throws {
    let (format, name) = try GoldenFolder(folder: folder).model()
    print(format.rawValue, name)
}

setvbuf(stdout, nil, _IOFBF, 1 << 16)
let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    fail(.input("usage: core measure|coreai|preprocess|orientation|golden|model FOLDER"))
}
let folder = URL(fileURLWithPath: arguments[2], isDirectory: true)
do {
    switch arguments[1] {
    case "measure": try await runMeasure(folder, Set(arguments.dropFirst(3)))
    case "coreai": try await runMeasure(folder, [], coreAI: true)
    case "preprocess": try runPreprocess(folder)
    case "orientation": try runOrientation(folder)
    case "golden": try await runGolden(folder, Set(arguments.dropFirst(3)))
    case "model": try runModel(folder)
    default: throw Problem.input("'\(shown(arguments[1]))' is not a command")
    }
} catch {
    fail(Problem.from(error, doing: "\(arguments[1]) failed", advice: "look at the folder"))
}
