//! Whether a LIST pattern fits a name (RFC 9051 6.3.9), in a time that no pattern can make long.
//!
//! Patterns come from the client, up to 1,024 wildcards of them, and are held against every mailbox. Runs of wildcards
//! are one wildcard; a pattern with more letters than the name fails at once; for the rest, all places the pattern may
//! have reached are moved on together, which costs pattern times name in steps of whole machine words.

use super::name::DELIMITER;

/// `*` fits anything, `%` anything but the delimiter.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let letters = pattern.iter().filter(|p| !is_wild(p)).count();
    if letters > name.len() {
        return false;
    }
    if letters == pattern.len() {
        return pattern == name;
    }
    // reached[i]: the pattern so far can end just before name[i].
    let mut reached = vec![false; name.len() + 1];
    let mut next = reached.clone();
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    let mut rest = pattern;
    while let Some((&p, behind)) = rest.split_first() {
        if !is_wild(&p) {
            rest = behind;
            let Some((start, moved)) = next.split_first_mut() else {
                return false;
            };
            *start = false;
            for ((to, from), letter) in moved.iter_mut().zip(&reached).zip(name) {
                *to = *from & (*letter == p);
            }
            std::mem::swap(&mut reached, &mut next);
            continue;
        }
        let run = rest.iter().take_while(|p| is_wild(p)).count();
        let (wild, behind) = rest.split_at(run);
        rest = behind;
        let Some(first) = reached.iter().position(|reached| *reached) else {
            return false;
        };
        if wild.contains(&b'*') {
            reached[first..].fill(true);
        } else {
            for i in first..name.len() {
                reached[i + 1] |= reached[i] && name[i] != DELIMITER;
            }
        }
    }
    reached.last().is_some_and(|end| *end)
}

fn is_wild(octet: &u8) -> bool {
    matches!(octet, b'*' | b'%')
}
