//! Whether a document obeys the TS 102 640-2 schema: order, cardinalities, and the kinds of value.
//!
//! A table-driven reading of the schema for the nine root elements and every REM type. Of `ds:Signature` only the outline
//! is checked (its own verifier looks inside), and `saml:Assertion` and open content are not looked into. Held against
//! libxml2 in the tests.

mod table;
mod value;

use super::{DS_NS, REM_NS, SAML_NS, XADES_NS, XML_NS, attribute};
use crate::domain::evidence::EvidenceKind;
use roxmltree::{Document, Node};
use std::collections::HashSet;
use table::{AUTHENTICATION, AUTHENTICATION_SAML, Attribute, DELEGATE, DELEGATES, EVIDENCE, Item, Type};
use value::is_space;

/// Checks a document; the error is one sentence for the finding `schema`.
pub fn check(xml: &[u8]) -> Result<(), String> {
    check_document(&super::parse(xml)?)
}

pub(super) fn check_document(doc: &Document<'_>) -> Result<(), String> {
    let root = doc.root_element();
    let name = root.tag_name().name();
    if root.tag_name().namespace() != Some(REM_NS)
        || !EvidenceKind::ALL.iter().any(|k| k.element_name() == name)
    {
        return Err(format!(
            "the root element {name} is not an evidence of TS 102 640-2"
        ));
    }
    unique_ids(root)?;
    element(root, &EVIDENCE)
}

fn element(node: Node<'_, '_>, of: &Type) -> Result<(), String> {
    let name = node.tag_name().name();
    match of {
        Type::Open(attributes) => {
            // Open types also take attributes that are not in the table.
            check_attributes(node, attributes, true)
        }
        Type::Text(value, attributes) => {
            check_attributes(node, attributes, false)?;
            if node.children().any(|n| n.is_element()) {
                return Err(format!("{name} holds elements"));
            }
            let text: String = node
                .children()
                .filter(Node::is_text)
                .filter_map(|n| n.text())
                .collect();
            if value.accepts(&text) {
                Ok(())
            } else {
                Err(format!("the value of {name} is not {}", value.words()))
            }
        }
        Type::Sequence(items, attributes) => {
            check_attributes(node, attributes, false)?;
            if node
                .children()
                .any(|n| n.is_text() && !n.text().unwrap_or_default().chars().all(is_space))
            {
                return Err(format!("{name} holds text between its elements"));
            }
            let children: Vec<Node<'_, '_>> = node.children().filter(Node::is_element).collect();
            let saml = children
                .first()
                .is_some_and(|n| n.has_tag_name((SAML_NS, "Assertion")));
            match of {
                Type::Sequence(..) if std::ptr::eq(of, &AUTHENTICATION) && saml => {
                    element(node, &AUTHENTICATION_SAML)
                }
                Type::Sequence(..) if std::ptr::eq(of, &DELEGATES) => delegates(name, &children),
                _ => sequence(name, &children, items),
            }
        }
    }
}

fn delegates(name: &str, children: &[Node<'_, '_>]) -> Result<(), String> {
    if children.is_empty() {
        return Err(format!("{name} is empty"));
    }
    children
        .chunks(2)
        .try_for_each(|pair| sequence(name, pair, &DELEGATE))
}

fn sequence(parent: &str, children: &[Node<'_, '_>], items: &[Item]) -> Result<(), String> {
    let mut rest = children.iter();
    let mut next = rest.next();
    for item in items {
        let mut count = 0;
        while let Some(node) = next {
            let matched = item
                .choice
                .iter()
                // The names differ sooner than the namespaces, which are long and alike.
                .find(|(ns, name, _)| node.tag_name().name() == *name && node.has_tag_name((*ns, *name)));
            let Some((_, _, of)) = matched.filter(|_| count < item.max) else {
                break;
            };
            element(*node, of)?;
            count += 1;
            next = rest.next();
        }
        if count < item.min {
            let wanted: Vec<&str> = item.choice.iter().map(|(_, name, _)| *name).collect();
            let found = next.map_or("its end", |n| n.tag_name().name());
            return Err(format!(
                "{parent}: expected {} before {found}",
                wanted.join(" or ")
            ));
        }
    }
    match next {
        Some(node) => Err(format!(
            "{parent}: {} is not allowed at this place",
            node.tag_name().name()
        )),
        None => Ok(()),
    }
}

/// XML Schema part 1, 2.6.
const INSTANCE_ATTRIBUTES: [&str; 4] = ["type", "nil", "schemaLocation", "noNamespaceSchemaLocation"];

fn check_attributes(node: Node<'_, '_>, known: &[Attribute], open: bool) -> Result<(), String> {
    let name = node.tag_name().name();
    for attribute in node.attributes() {
        let spelled = match attribute.namespace() {
            None => attribute.name().to_owned(),
            Some(XML_NS) => format!("xml:{}", attribute.name()),
            // XML Schema part 1, 3.2.7: these four are allowed everywhere.
            Some("http://www.w3.org/2001/XMLSchema-instance")
                if INSTANCE_ATTRIBUTES.contains(&attribute.name()) =>
            {
                continue;
            }
            Some(_) if open => continue,
            Some(_) => return Err(format!("{name} has a foreign attribute {}", attribute.name())),
        };
        match known.iter().find(|k| k.0 == spelled) {
            Some(k) if k.1.accepts(attribute.value()) => {}
            Some(k) => return Err(format!("the value of {name}/@{spelled} is not {}", k.1.words())),
            None if open => {}
            None => return Err(format!("{name} has an attribute {spelled}, which is not allowed")),
        }
    }
    for k in known.iter().filter(|k| k.2) {
        if attribute(node, k.0).is_none() {
            return Err(format!("{name} lacks its attribute {}", k.0));
        }
    }
    Ok(())
}

/// xs:ID: no value twice in one document. Elements of open content are not typed, so only known ones are looked at.
fn unique_ids(root: Node<'_, '_>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for node in root.descendants().filter(Node::is_element) {
        let ns = node.tag_name().namespace();
        if (node == root || ns == Some(DS_NS) || ns == Some(XADES_NS))
            && let Some(id) = attribute(node, "Id")
            && !seen.insert(id)
        {
            return Err(format!("the Id {id} occurs twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
