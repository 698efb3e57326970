//! The text of HTML, for search and previews.

use super::decode::contained;
use std::borrow::Cow;

/// Elements that stand by themselves on a page: blocks, items of lists, cells and rows (HTML Living Standard 15.3). `br` and
/// `p` are known to the reader below.
const APART: [&str; 29] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "caption",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "ol",
    "pre",
    "section",
    "td",
    "th",
    "ul",
];

/// HTML without its marks. What stands apart on the page is a line by itself: its words are not those of its neighbours.
/// `None` where it cannot be read.
pub(super) fn text(html: &str) -> Option<String> {
    contained(|| mail_parser::decoders::html::html_to_text(&with_breaks(html)))
}

/// A line break before each mark of an element that stands apart.
fn with_breaks(html: &str) -> Cow<'_, str> {
    let (mut broken, mut taken, mut from) = (String::new(), 0, 0);
    while let Some(at) = html[from..].find('<') {
        let mark = from + at;
        let rest = &html[mark + 1..];
        let name = rest.strip_prefix('/').unwrap_or(rest);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric());
        let name = &name[..end.unwrap_or(name.len())];
        if APART.iter().any(|apart| name.eq_ignore_ascii_case(apart)) {
            broken.push_str(&html[taken..mark]);
            broken.push_str("<br>");
            taken = mark;
        }
        // What stands within a mark opens none.
        from = rest.find('>').map_or(html.len(), |end| mark + 1 + end);
    }
    if broken.is_empty() {
        return Cow::Borrowed(html);
    }
    broken.push_str(&html[taken..]);
    Cow::Owned(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(html: &str) -> Vec<String> {
        let text = text(html).unwrap();
        let lines = text.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn what_stands_apart_is_a_line_and_what_does_not_is_one_word() {
        let page =
            "<div>Merhaba,</div><DIV class=\"a\">yarın <b>g</b>eliyor<i>um</i>.</DIV><ul><li>bir<li>iki</ul>";
        assert_eq!(lines(page), ["Merhaba,", "yarın geliyorum.", "bir", "iki"]);
        let table = "<table><tr><td>Ad:</td><td>Ayşe</td></tr><tr><th>Soyad</th></tr></table>";
        assert_eq!(lines(table), ["Ad:", "Ayşe", "Soyad"]);
        assert_eq!(lines("<h1>Karar</h1>No: 7<hr/>son"), ["Karar", "No: 7", "son"]);
    }

    #[test]
    fn only_marks_are_marks() {
        assert_eq!(lines("a<divan>b</divan>c"), ["abc"]);
        assert_eq!(lines("bir &lt;div&gt; iki"), ["bir <div> iki"]);
        assert_eq!(lines("x<img alt=\"<div\">y"), ["xy"]);
        assert_eq!(lines("x<!-- <div> --><div>y"), ["x", "y"]);
        for cut in ["<", "</", "<div", "a<", "a</div", "<div><", "<é>", "<divé"] {
            assert!(text(cut).is_some(), "{cut}");
        }
        assert!(matches!(with_breaks("<p>düz</p><br>metin"), Cow::Borrowed(_)));
    }
}
