// What ends a run: one line that says what was wrong, where, and what to do.
import Foundation

public struct Problem: Error, Equatable, CustomStringConvertible {
    /// The exit codes of android_bench: a file is wrong, or the runtime failed.
    enum Kind: Int32 { case input = 2, runtime = 3 }

    let kind: Kind
    let line: String

    public var description: String { line }

    static func input(_ text: String) -> Problem { Problem(kind: .input, line: shown(text, most: 1000)) }

    static func runtime(_ text: String) -> Problem { Problem(kind: .runtime, line: shown(text, most: 1000)) }

    /// Any error as a problem; `doing` says what failed where, `advice` what to do.
    static func from(_ error: Error, doing: String, advice: String) -> Problem {
        if let problem = error as? Problem { return problem }
        return runtime("\(doing) (\(shown(error.localizedDescription, most: 400))): \(advice)")
    }
}

/// A text from outside, made one line of at most `most` characters.
func shown(_ text: String, most: Int = 80) -> String {
    let kept = text.unicodeScalars.prefix(most).map { scalar -> Character in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return " "
        default: return Character(scalar)
        }
    }
    return String(kept)
}
