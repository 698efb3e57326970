//! The base subject: what is left of a subject when "Re:", `[list]`, "(fwd)" and their like are taken off (RFC 5256 2.1).
//!
//! Exactly as the standard says, for a client computes the same when it is offline: prefixes of other languages (`Ynt:`)
//! stay. Case is not folded here; the marks themselves are compared without case in ASCII.

/// Octets of a subject that are looked at. A header line is at most 998 long (RFC 5322 2.1.1), and the steps below may
/// each look at all of what is left.
pub const SUBJECT_MAX_OCTETS: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseSubject {
    pub text: String,
    /// A mark of an answer or of a forwarded message was taken off (RFC 5256 3, REFERENCES).
    pub is_reply: bool,
}

/// Of a subject whose encoded words are decoded already.
pub fn base_subject(subject: &str) -> BaseSubject {
    let line = one_line(subject);
    let mut rest = line.as_str();
    let mut is_reply = false;
    loop {
        // (2)
        rest = rest.trim_end();
        while let Some(head) = without_end(rest, "(fwd)") {
            rest = head.trim_end();
            is_reply = true;
        }
        // (3) to (5)
        loop {
            rest = rest.trim_start();
            if let Some(behind) = behind_leader(rest) {
                rest = behind;
                is_reply = true;
            } else if let Some(behind) = behind_blob(rest).filter(|behind| !behind.is_empty()) {
                rest = behind;
            } else {
                break;
            }
        }
        // (6)
        match behind(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                rest = inner;
                is_reply = true;
            }
            None => break,
        }
    }
    BaseSubject {
        text: rest.to_owned(),
        is_reply,
    }
}

/// (1): tabs and line ends become spaces, and several spaces one.
fn one_line(subject: &str) -> String {
    let mut line = String::with_capacity(subject.len().min(SUBJECT_MAX_OCTETS));
    for c in subject.chars() {
        let c = if matches!(c, '\t' | '\r' | '\n') { ' ' } else { c };
        if c == ' ' && line.ends_with(' ') {
            continue;
        }
        if line.len() + c.len_utf8() > SUBJECT_MAX_OCTETS {
            break;
        }
        line.push(c);
    }
    line
}

/// `subj-leader = (*subj-blob subj-refwd) / WSP`, the white space aside.
fn behind_leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(behind) = behind_blob(rest) {
        rest = behind;
    }
    // `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
    ["re", "fwd", "fw"].iter().find_map(|word| {
        let after = behind(rest, word)?.trim_start_matches(' ');
        let after = behind_blob(after).unwrap_or(after);
        after.strip_prefix(':')
    })
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`.
fn behind_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let behind = inner.get(end..)?.strip_prefix(']')?;
    Some(behind.trim_start_matches(' '))
}

fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(tail)
}

fn without_end<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(word.len())?)?;
    tail.eq_ignore_ascii_case(word).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base(subject: &str) -> (String, bool) {
        let base = base_subject(subject);
        (base.text, base.is_reply)
    }

    #[test]
    fn marks_are_taken_off_step_by_step() {
        for (subject, text, is_reply) in [
            ("Teklif", "Teklif", false),
            ("Re: Teklif", "Teklif", true),
            ("RE:Teklif", "Teklif", true),
            ("re : fw[2]: FWD :  Teklif", "Teklif", true),
            ("[liste] Re: [liste] Teklif (fwd) (FWD) ", "Teklif", true),
            ("[liste]  Teklif", "Teklif", false),
            ("[liste]", "[liste]", false),
            ("[a] [b]", "[b]", false),
            ("[a][b] x", "x", false),
            ("[Fwd: Re: Teklif (fwd)]", "Teklif", true),
            ("[fwd: [Fwd: x]]", "x", true),
            ("[fwd: x", "[fwd: x", false),
            ("Re[3]: x", "x", true),
            ("Re", "Re", false),
            ("Re:", "", true),
            ("Reklam: x", "Reklam: x", false),
            ("Ynt: x", "Ynt: x", false),
            ("a\t\r\n b   c", "a b c", false),
            ("İhale (fwd)", "İhale", true),
            ("", "", false),
            ("(fwd)", "", true),
            ("[x", "[x", false),
            ("[x[y]] Re: z", "[x[y]] Re: z", false),
        ] {
            assert_eq!(base(subject), (text.to_owned(), is_reply), "{subject:?}");
        }
    }

    #[test]
    fn a_hostile_subject_ends_soon() {
        for piece in ["[a]", "Re:", "(fwd)", "[fwd:", "[", "]", " ", "ı"] {
            let long = piece.repeat(100_000);
            assert!(base(&long).0.len() <= SUBJECT_MAX_OCTETS);
        }
    }

    proptest! {
        /// What is left has nothing more to take off.
        #[test]
        fn the_base_of_a_base_is_itself(
            pieces in prop::collection::vec(prop_oneof![
                Just("Re:"), Just("fw"), Just("[a]"), Just("[Fwd: "), Just("]"), Just(" "), Just("(fwd)"), Just("Ş"), Just(":"),
            ], 0..12),
        ) {
            let (once, _) = base(&pieces.concat());
            prop_assert_eq!(base(&once).0, once);
        }
    }
}
