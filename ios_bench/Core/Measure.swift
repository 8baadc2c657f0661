// Open the model, run it, compare every output: the same order as edgekit/bench/native/measure.c.
import Dispatch
import Foundation

/// A model that this device has made ready: compiled for Core ML, specialized for Core AI.
protocol Prepared: Sendable {
    /// How long making it ready took, in nanoseconds.
    var took: UInt64 { get }

    func open(height: Int, width: Int) async throws -> Model

    /// Take away what making it ready has left on the device.
    func remove()
}

/// Bytes of this process; nil is unknown.
struct MemoryNow: Sendable {
    var resident: Int?
    var residentPeak: Int?
    var footprintPeak: Int?

    /// A process has one peak in its life: a peak that has not risen comes from earlier work, for example compiling.
    func since(_ before: MemoryNow) -> MemoryNow {
        func risen(_ now: Int?, _ earlier: Int?) -> Int? { now.flatMap { $0 > earlier ?? 0 ? $0 : nil } }
        return MemoryNow(
            resident: resident, residentPeak: risen(residentPeak, before.residentPeak),
            footprintPeak: risen(footprintPeak, before.footprintPeak))
    }
}

/// Times are nanoseconds.
struct Measurement: Sendable {
    var coldLoad: UInt64 = 0
    var first: UInt64 = 0
    var warmLoad: UInt64 = 0
    var samples: [UInt64] = []
    var memory = MemoryNow()
    var loaded: Int?
    var check = Check()
    /// float32 little-endian [count,dim], each row from the first run of its image; nil where the job asks for none.
    var embeddings: Data?
}

func nanoseconds<Value>(_ work: () async throws -> Value) async rethrows -> (Value, UInt64) {
    let start = DispatchTime.now().uptimeNanoseconds
    let value = try await work()
    return (value, DispatchTime.now().uptimeNanoseconds - start)
}

/// Measure one model in this fresh process. `open` is called twice.
func measureModel(
    _ job: Job, photos: PhotoReader, memory: () -> MemoryNow, open: () async throws -> Model
) async throws -> Measurement {
    let images = try job.images(photos)
    let golden = try job.readGolden()
    var measured = Measurement(embeddings: job.embeddings == nil ? nil : Data())
    var turns = 0

    func next(_ model: Model) async throws -> UInt64 {
        let image = turns % job.count
        turns += 1
        try images.read(image).withUnsafeBufferPointer { try model.set($0) }
        let (_, took) = try await nanoseconds(model.run)
        let output = try model.embedding()
        guard output.count == job.dim else {
            throw Problem.input("\(job.model): gives \(output.count) values, dim is \(job.dim): correct dim")
        }
        measured.check.compare(output, with: golden[image * job.dim..<(image + 1) * job.dim])
        if turns <= job.count {
            output.map(\.bitPattern.littleEndian).withUnsafeBytes { measured.embeddings?.append(contentsOf: $0) }
        }
        return took
    }

    let before = memory()
    var (model, took): (Model?, UInt64) = try await nanoseconds(open)
    measured.coldLoad = took
    if let model {
        measured.first = try await next(model)
        for _ in 0..<job.warmup { _ = try await next(model) }
        let start = DispatchTime.now().uptimeNanoseconds
        let least = UInt64((job.duration * 1e9).rounded(.up))
        while measured.samples.count < BenchProtocol.maxSamples,
            measured.samples.count < job.iterations || DispatchTime.now().uptimeNanoseconds - start < least
        {
            measured.samples.append(try await next(model))
        }
    }
    measured.memory = memory().since(before)
    if let start = before.resident, let peak = measured.memory.residentPeak, peak >= start {
        measured.loaded = peak - start
    }

    model = nil
    (model, measured.warmLoad) = try await nanoseconds(open)
    measured.check.images = min(turns, job.count)
    return measured
}
