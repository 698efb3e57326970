//! The parts of a message that hold something, each with its section number (RFC 9051 6.4.5.1).
//!
//! A message that is attached is one part: what lies inside it is its own matter, and its octets are told as a whole.

use super::structure::{Part, PartKind, Structure};

impl Structure {
    /// Every part that is no multipart, in the order in which they stand.
    pub fn leaves(&self) -> Vec<(String, &Part)> {
        let mut found = Vec::new();
        // Depth and number of parts are bounded where the map is made.
        let mut open: Vec<(String, &Part)> = self.root().map(|r| (String::new(), r)).into_iter().collect();
        while let Some((number, part)) = open.pop() {
            if part.kind == PartKind::Multipart && !part.children.is_empty() {
                let children: Vec<&Part> = self.children(part).collect();
                let numbered = children.into_iter().enumerate().rev();
                open.extend(numbered.map(|(n, child)| {
                    let n = n + 1;
                    let dot = if number.is_empty() { "" } else { "." };
                    (format!("{number}{dot}{n}"), child)
                }));
                continue;
            }
            // The only part of a message that is not multipart is number 1.
            let number = if number.is_empty() { "1".to_owned() } else { number };
            found.push((number, part));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::Section;

    fn told(message: &str) -> Vec<(String, String)> {
        let map = Structure::of(message.as_bytes());
        let leaves = map.leaves();
        for (number, part) in &leaves {
            let path: Vec<u32> = number.split('.').map(|n| n.parse().unwrap()).collect();
            assert_eq!(map.locate(&path, Section::Full), Some(part.body), "{number}");
        }
        let one = |(number, part): (String, &Part)| (number, part.content_type.value.clone());
        leaves.into_iter().map(one).collect()
    }

    #[test]
    fn leaves_have_the_numbers_by_which_they_are_fetched() {
        let own = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect()
        };
        assert_eq!(told("Subject: x\r\n\r\nbody"), own(&[("1", "text/plain")]));
        let nested = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
            Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nt\r\n--b\r\nContent-Type: text/html\r\n\r\nh\r\n\
            --b--\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ni\r\n\
            --c--\r\n--a\r\nContent-Type: application/pdf\r\n\r\np\r\n--a--\r\n";
        let want = own(&[
            ("1.1", "text/plain"),
            ("1.2", "text/html"),
            ("2", "message/rfc822"),
            ("3", "application/pdf"),
        ]);
        assert_eq!(told(nested), want);
        let empty = "Content-Type: multipart/mixed; boundary=a\r\n\r\nno part\r\n";
        assert_eq!(told(empty), own(&[("1", "multipart/mixed")]));
    }
}
