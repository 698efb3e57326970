//! The search for a path: depth first from the leaf, likely issuers first, bounded in depth, signatures and whole paths.
//!
//! What can be said of one step is checked while climbing; what needs the whole path (purposes, name constraints,
//! policies) is checked when an anchor is reached, and when that fails the search goes on.

use super::{
    Demand, Ground, PATH_MAX, PATHS_MAX, PathError, SIGNATURE_CHECKS_MAX, check_dates, constraints,
    keep_purposes, policy,
};
use crate::cms::certificate::Certificate;

pub(super) struct Search<'a> {
    ground: Ground<'a>,
    demand: Demand<'a>,
    accept: &'a mut dyn FnMut(&[Certificate]) -> bool,
    checks_left: usize,
    paths_left: usize,
    path: Vec<Certificate>,
    /// The most telling reason met so far, and how much it tells.
    why: Option<(usize, PathError)>,
}

impl<'a> Search<'a> {
    pub fn new(
        leaf: &Certificate,
        ground: Ground<'a>,
        demand: Demand<'a>,
        accept: &'a mut dyn FnMut(&[Certificate]) -> bool,
    ) -> Self {
        Self {
            ground,
            demand,
            accept,
            checks_left: SIGNATURE_CHECKS_MAX,
            paths_left: PATHS_MAX,
            path: vec![leaf.clone()],
            why: None,
        }
    }

    pub fn run(mut self) -> Result<Vec<Certificate>, PathError> {
        if self.extend() {
            return Ok(self.path);
        }
        let leaf = self.path.first().map(Certificate::subject).unwrap_or_default();
        Err(self.why.map_or(PathError::NoAnchor(leaf), |(_, why)| why))
    }

    /// Extends the path to an anchor; false leaves it as it was. Depth is bounded by [`PATH_MAX`].
    fn extend(&mut self) -> bool {
        let Some(last) = self.path.last().cloned() else {
            return false;
        };
        if self.ground.anchors.contains(&last) {
            return self.complete();
        }
        if self.path.len() >= PATH_MAX {
            let leaf = self.path.first().map(Certificate::subject).unwrap_or_default();
            self.note(PathError::TooLong(leaf));
            return false;
        }
        let candidates = self.candidates(&last);
        for (is_anchor, issuer) in candidates {
            if self.checks_left == 0 || self.paths_left == 0 {
                let leaf = self.path.first().map(Certificate::subject).unwrap_or_default();
                self.note(PathError::TooManyChecks(leaf));
                return false;
            }
            match self.step(&last, &issuer) {
                Err(why) => self.note(why),
                Ok(()) => {
                    self.path.push(issuer);
                    let arrived = if is_anchor { self.complete() } else { self.extend() };
                    if arrived {
                        return true;
                    }
                    self.path.pop();
                }
            }
        }
        false
    }

    /// Who may have issued `last`, anchors and the key that it names first. The name decides; the key identifier, which
    /// need not be there, only orders (RFC 4158 3.5.12).
    fn candidates(&mut self, last: &Certificate) -> Vec<(bool, Certificate)> {
        let mut out: Vec<(bool, Certificate)> = Vec::new();
        let anchors = self.ground.anchors.iter().map(|c| (true, c));
        let mut named = false;
        for (is_anchor, c) in anchors.chain(self.ground.pool.iter().map(|c| (false, c))) {
            if c.subject_der() != last.issuer_der() || out.iter().any(|(_, known)| known == c) {
                continue;
            }
            named = true;
            // RFC 4158 5.2: the same name with the same key a second time is a loop.
            let is_loop =
                |p: &Certificate| p.subject_der() == c.subject_der() && p.spki_der() == c.spki_der();
            if !self.path.iter().any(is_loop) {
                out.push((is_anchor, c.clone()));
            }
        }
        if !named {
            self.note(PathError::MissingIssuer {
                subject: last.subject(),
                issuer: last.issuer(),
            });
        } else if out.is_empty() && last.is_self_issued() {
            self.note(PathError::NotTrusted(last.subject()));
        }
        let key = last.authority_key_id();
        let is_other_key =
            |c: &Certificate| key.is_some() && c.subject_key_id().is_some() && c.subject_key_id() != key;
        out.sort_by_key(|(is_anchor, c)| (is_other_key(c), !is_anchor));
        out
    }

    fn step(&mut self, subject: &Certificate, issuer: &Certificate) -> Result<(), PathError> {
        check_dates(issuer, self.demand.at)?;
        if issuer.has_unknown_critical() {
            return Err(PathError::CriticalExtension(issuer.subject()));
        }
        // RFC 5280 4.2.1.9: the number of non-self-issued intermediates below; the leaf does not count.
        let below = self.path.iter().skip(1).filter(|c| !c.is_self_issued()).count();
        let long_ok = issuer.path_length_max().is_none_or(|max| below <= max as usize);
        // RFC 5280 4.2.1.3, 6.1.4 (n).
        let may_certify = issuer.is_ca() && issuer.key_usage().is_none_or(|u| u.key_cert_sign());
        if !may_certify || !long_ok {
            return Err(PathError::NotAuthority(issuer.subject()));
        }
        self.checks_left -= 1;
        if !(self.ground.is_signed_by)(subject, issuer) {
            return Err(PathError::Signature(subject.subject()));
        }
        Ok(())
    }

    /// The path has reached an anchor: what is to be said of it as a whole.
    fn complete(&mut self) -> bool {
        self.paths_left = self.paths_left.saturating_sub(1);
        match self.check_whole() {
            Ok(()) => (self.accept)(&self.path),
            // Nothing tells more than why a whole path does not hold.
            Err(why) => {
                self.note_as(why, usize::MAX);
                false
            }
        }
    }

    fn check_whole(&self) -> Result<(), PathError> {
        let Some((_, below_anchor)) = self.path.split_last() else {
            return Ok(());
        };
        // Practice, not RFC 5280: an authority's extended key usage bounds what it may issue for.
        let mut left = self.demand.purpose.key_purposes().to_vec();
        for certificate in below_anchor {
            if !keep_purposes(&mut left, certificate) {
                return Err(PathError::WrongPurpose {
                    subject: certificate.subject(),
                    purpose: self.demand.purpose.word(),
                });
            }
        }
        constraints::check(&self.path)?;
        policy::check(below_anchor, self.demand.policies)
    }

    /// Keeps the reason met farthest on the way. A signature that does not verify tells least: other keys of the same name
    /// are tried in passing.
    fn note(&mut self, why: PathError) {
        let weight = 2 * self.path.len() + usize::from(!matches!(why, PathError::Signature(_)));
        self.note_as(why, weight);
    }

    fn note_as(&mut self, why: PathError, weight: usize) {
        if self.why.as_ref().is_none_or(|(known, _)| *known < weight) {
            self.why = Some((weight, why));
        }
    }
}
