//! Certificate policies (RFC 5280 6.1.2-6.1.5): which are valid for a path, and whether one of those asked for is.
//!
//! The valid policy tree of RFC 5280 can grow without bound (CVE-2023-0464). Here each level is a set: nodes of one level
//! with the same policy have the same expected policies, so they can be one; and of the way up only that node matters whose
//! parent is anyPolicy, for it names the policy in the words of the anchor's domain. So each node carries the set of those
//! instead of a tree above it, and nothing has to be pruned. Qualifiers are not reported.

use super::PathError;
use crate::cms::certificate::Certificate;
use crate::cms::der::{self, DerError, Reader};
use crate::cms::extension;
use std::collections::{BTreeMap, BTreeSet};

/// Most policies, and most mappings, in one certificate; qualified certificates have one to five.
const POLICIES_MAX: usize = 64;
/// Most policies valid at one level of a path.
const LEVEL_MAX: usize = 256;

/// anyPolicy 2.5.29.32.0
const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];
/// id-qt-cps and id-qt-unotice (RFC 5280 4.2.1.4)
const QUALIFIERS: [&[u8]; 2] = [&[0x2b, 6, 1, 5, 5, 7, 2, 1], &[0x2b, 6, 1, 5, 5, 7, 2, 2]];

type Oid<'a> = &'a [u8];

/// A policy that is valid down to here.
#[derive(Default, Clone)]
struct Node<'a> {
    /// What the next certificate must say to go on with it.
    expected: BTreeSet<Oid<'a>>,
    /// What it is in the anchor's domain: the ancestors (or itself) whose parent is anyPolicy.
    roots: BTreeSet<Oid<'a>>,
}

/// One level of the valid policy tree.
#[derive(Default)]
struct Level<'a> {
    nodes: BTreeMap<Oid<'a>, Node<'a>>,
    /// Whether there is a node anyPolicy.
    any: bool,
}

/// The variables of RFC 5280 6.1.2.
struct State<'a> {
    /// None is the empty tree.
    level: Option<Level<'a>>,
    explicit_policy: u32,
    inhibit_any: u32,
    policy_mapping: u32,
}

/// Checks the certificates below the anchor, leaf first. `wanted` empty: any policy, or none, will do, unless an authority
/// demands one.
pub(super) fn check(below_anchor: &[Certificate], wanted: &[Vec<u8>]) -> Result<(), PathError> {
    let n = u32::try_from(below_anchor.len()).unwrap_or(u32::MAX - 1);
    let start = n + 1;
    let mut state = State {
        level: Some(Level {
            any: true,
            ..Level::default()
        }),
        // Whoever asks for a policy wants it stated.
        explicit_policy: if wanted.is_empty() { start } else { 0 },
        inhibit_any: start,
        policy_mapping: start,
    };
    for (depth, certificate) in below_anchor.iter().enumerate().rev() {
        let faulty = |e: DerError| PathError::FaultyExtension {
            subject: certificate.subject(),
            what: e.0,
        };
        let is_last = depth == 0;
        state.descend(certificate, is_last).map_err(faulty)?;
        if is_last {
            state.wrap_up(certificate).map_err(faulty)?;
        }
        // RFC 5280 6.1.3 (f), 6.1.5 (g).
        if state.explicit_policy == 0 && state.level.is_none() {
            return Err(PathError::NoPolicy(certificate.subject()));
        }
        if !is_last {
            state.prepare_next(certificate).map_err(faulty)?;
        }
    }
    let Some(leaf) = below_anchor.first() else {
        return Ok(());
    };
    let is_wanted = |root: &Oid<'_>| wanted.iter().any(|w| w == root);
    let holds =
        |level: &Level<'_>| level.any || level.nodes.values().any(|node| node.roots.iter().any(is_wanted));
    // RFC 5280 6.1.5 (g)(iii): the intersection with what is asked for.
    if wanted.is_empty() || state.level.as_ref().is_some_and(holds) {
        return Ok(());
    }
    Err(PathError::OtherPolicy(leaf.subject()))
}

impl<'a> State<'a> {
    /// RFC 5280 6.1.3 (d), (e).
    fn descend(&mut self, certificate: &'a Certificate, is_last: bool) -> Result<(), DerError> {
        let Some((critical, value)) = certificate.extension(extension::CERTIFICATE_POLICIES) else {
            self.level = None;
            return Ok(());
        };
        let stated = read_policies(value, critical)?;
        let Some(above) = self.level.take() else {
            return Ok(());
        };
        let mut below = Level::default();
        for policy in stated.iter().copied().filter(|p| *p != ANY_POLICY) {
            let mut roots = BTreeSet::new();
            for node in above.nodes.values().filter(|n| n.expected.contains(policy)) {
                roots.extend(node.roots.iter().copied());
            }
            // (d)(1)(ii)
            if roots.is_empty() && above.any {
                roots.insert(policy);
            }
            if !roots.is_empty() {
                below.nodes.insert(policy, Node::new(policy, roots));
            }
        }
        // (d)(2): anyPolicy goes on with whatever is expected.
        let any_counts = self.inhibit_any > 0 || (!is_last && certificate.is_self_issued());
        if stated.contains(&ANY_POLICY) && any_counts {
            for node in above.nodes.values() {
                for policy in &node.expected {
                    // A policy that the certificate states was dealt with above, from all nodes that expect it.
                    if !stated.contains(policy) {
                        let known = below
                            .nodes
                            .entry(policy)
                            .or_insert_with(|| Node::new(policy, BTreeSet::new()));
                        known.roots.extend(node.roots.iter().copied());
                    }
                }
            }
            below.any = above.any;
        }
        below.bounded()?;
        self.level = (below.any || !below.nodes.is_empty()).then_some(below);
        Ok(())
    }

    /// RFC 5280 6.1.4 (a), (b), (h), (i), (j).
    fn prepare_next(&mut self, certificate: &'a Certificate) -> Result<(), DerError> {
        if let Some((_, value)) = certificate.extension(extension::POLICY_MAPPINGS) {
            let mappings = read_mappings(value)?;
            self.map(&mappings)?;
        }
        if !certificate.is_self_issued() {
            self.explicit_policy = self.explicit_policy.saturating_sub(1);
            self.policy_mapping = self.policy_mapping.saturating_sub(1);
            self.inhibit_any = self.inhibit_any.saturating_sub(1);
        }
        let (require_explicit, inhibit_mapping) = read_constraints(certificate)?;
        self.explicit_policy = require_explicit.map_or(self.explicit_policy, |n| n.min(self.explicit_policy));
        self.policy_mapping = inhibit_mapping.map_or(self.policy_mapping, |n| n.min(self.policy_mapping));
        if let Some((_, value)) = certificate.extension(extension::INHIBIT_ANY_POLICY) {
            let mut reader = Reader::new(value);
            let n = skip_certificates(reader.expect(der::INTEGER, "inhibitAnyPolicy")?.value)?;
            reader.end("inhibitAnyPolicy")?;
            self.inhibit_any = self.inhibit_any.min(n);
        }
        Ok(())
    }

    fn map(&mut self, mappings: &BTreeMap<Oid<'a>, BTreeSet<Oid<'a>>>) -> Result<(), DerError> {
        let Some(level) = self.level.as_mut() else {
            return Ok(());
        };
        for (ours, theirs) in mappings {
            if self.policy_mapping == 0 {
                // (b)(2)
                level.nodes.remove(ours);
            } else if let Some(node) = level.nodes.get_mut(ours) {
                node.expected = theirs.clone();
            } else if level.any {
                let mut node = Node::new(ours, BTreeSet::from([*ours]));
                node.expected = theirs.clone();
                level.nodes.insert(ours, node);
            }
        }
        level.bounded()?;
        if !level.any && level.nodes.is_empty() {
            self.level = None;
        }
        Ok(())
    }

    /// RFC 5280 6.1.5 (a), (b).
    fn wrap_up(&mut self, leaf: &Certificate) -> Result<(), DerError> {
        self.explicit_policy = self.explicit_policy.saturating_sub(1);
        if read_constraints(leaf)?.0 == Some(0) {
            self.explicit_policy = 0;
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    fn new(policy: Oid<'a>, roots: BTreeSet<Oid<'a>>) -> Self {
        Self {
            expected: BTreeSet::from([policy]),
            roots,
        }
    }
}

impl Level<'_> {
    fn bounded(&self) -> Result<(), DerError> {
        if self.nodes.len() > LEVEL_MAX {
            return Err(DerError("too many certificate policies"));
        }
        Ok(())
    }
}

fn read_policies(value: &[u8], critical: bool) -> Result<BTreeSet<Oid<'_>>, DerError> {
    let mut list = der::whole(value, der::SEQUENCE, "certificate policies")?;
    let mut out = BTreeSet::new();
    while !list.is_empty() {
        let mut information = list.enter(der::SEQUENCE, "policy information")?;
        let policy = information.expect(der::OID, "policy identifier")?.value;
        if let Some(qualifiers) = information.optional(der::SEQUENCE)? {
            check_qualifiers(qualifiers.value, critical)?;
        }
        information.end("policy information")?;
        // RFC 5280 4.2.1.4: no policy twice.
        if !out.insert(policy) || out.len() > POLICIES_MAX {
            return Err(DerError("a certificate policy stands twice, or too many"));
        }
    }
    if out.is_empty() {
        return Err(DerError("certificate policies without any"));
    }
    Ok(out)
}

/// RFC 5280 4.2.1.4: in a critical extension also the qualifiers must be understood. Both known ones are words for people.
fn check_qualifiers(octets: &[u8], critical: bool) -> Result<(), DerError> {
    let mut list = Reader::new(octets);
    while !list.is_empty() {
        let kind = list
            .enter(der::SEQUENCE, "policy qualifier")?
            .expect(der::OID, "policy qualifier")?;
        if critical && !QUALIFIERS.contains(&kind.value) {
            return Err(DerError("a critical policy qualifier that is not understood"));
        }
    }
    Ok(())
}

fn read_mappings(value: &[u8]) -> Result<BTreeMap<Oid<'_>, BTreeSet<Oid<'_>>>, DerError> {
    let mut list = der::whole(value, der::SEQUENCE, "policy mappings")?;
    let mut out: BTreeMap<Oid<'_>, BTreeSet<Oid<'_>>> = BTreeMap::new();
    let mut count = 0;
    while !list.is_empty() {
        let mut pair = list.enter(der::SEQUENCE, "policy mapping")?;
        let ours = pair.expect(der::OID, "issuer domain policy")?.value;
        let theirs = pair.expect(der::OID, "subject domain policy")?.value;
        pair.end("policy mapping")?;
        count += 1;
        // RFC 5280 6.1.4 (a).
        if ours == ANY_POLICY || theirs == ANY_POLICY || count > POLICIES_MAX {
            return Err(DerError("policy mappings with anyPolicy, or too many"));
        }
        out.entry(ours).or_default().insert(theirs);
    }
    Ok(out)
}

/// (requireExplicitPolicy, inhibitPolicyMapping) of RFC 5280 4.2.1.11.
fn read_constraints(certificate: &Certificate) -> Result<(Option<u32>, Option<u32>), DerError> {
    let Some((_, value)) = certificate.extension(extension::POLICY_CONSTRAINTS) else {
        return Ok((None, None));
    };
    let mut fields = der::whole(value, der::SEQUENCE, "policy constraints")?;
    let mut number = |tag| -> Result<Option<u32>, DerError> {
        fields
            .optional(tag)?
            .map(|t| skip_certificates(t.value))
            .transpose()
    };
    let out = (number(0x80)?, number(0x81)?);
    fields.end("policy constraints")?;
    Ok(out)
}

/// SkipCerts: 0 to anything; what is larger than a path is as good as endless.
fn skip_certificates(octets: &[u8]) -> Result<u32, DerError> {
    match octets {
        [one] if *one < 0x80 => Ok(u32::from(*one)),
        // Negative, or not minimal.
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(DerError("number of certificates")),
        _ => Ok(u32::MAX),
    }
}
