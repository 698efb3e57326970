//! All that is known, asked about one certificate: which values are looked at, whether they are signed by whom they should be,
//! and what they say.
//!
//! What the judge himself knows comes first; what the document brings, as far as there is room. Cheap questions come before
//! signatures, and a value whose signature fails takes no room: nobody can push a good one out by appending others. Of very
//! many, those tell the standing that are around the moment, before the end of the certificate, and the newest; for what was
//! revoked stays listed until after its end (RFC 5280 3.3).

use super::checks::Over;
use super::values::{Head, Origin, Value, ValueSlices};
use super::{Delegates, Doubt, Fact, Question, VALUES_MAX, Verdict, is_never_revoked};
use crate::clock::UtcTime;
use crate::cms::certificate::Certificate;
use crate::cms::crl::{Crl, CrlError};
use crate::cms::extension;
use crate::cms::ocsp::{OcspError, Response, Signed, Signer, Status};
use std::cell::{Cell, OnceCell};
use std::time::Duration;

/// All values; each is read when it is first looked at, and once.
pub(super) struct Known<'a> {
    sides: [Side<'a>; 2],
    values: &'a ValueSlices<'a>,
}

struct Side<'a> {
    origin: Origin,
    lists: Vec<List<'a>>,
    replies: Vec<Reply<'a>>,
}

struct List<'a> {
    value: Value<'a>,
    head: Option<Head<'a>>,
    read: OnceCell<Result<Crl<'a>, CrlError>>,
}

struct Reply<'a> {
    value: Value<'a>,
    read: OnceCell<Result<Response<'a>, OcspError>>,
}

impl<'a> List<'a> {
    fn read(&self) -> Result<&Crl<'a>, Doubt> {
        let read = self.read.get_or_init(|| Crl::read(self.value.octets));
        read.as_ref().map_err(|why| why.clone().into())
    }

    fn head(&self) -> Result<Head<'a>, Doubt> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        self.read().map(|crl| Head {
            issuer: crl.issuer_der(),
            from: crl.this_update,
        })
    }

    /// When it was issued; None when it is another's.
    fn moment(&self, question: &Question<'_>) -> Result<Option<UtcTime>, Doubt> {
        let head = self.head()?;
        Ok((head.issuer == question.issuer.subject_der()).then_some(head.from))
    }
}

impl<'a> Reply<'a> {
    fn read(&self) -> Result<&Response<'a>, Doubt> {
        let read = self.read.get_or_init(|| Response::read(self.value.octets));
        read.as_ref().map_err(|why| why.clone().into())
    }

    /// Of when its answer is; None when it is about another certificate of the path.
    fn moment(&self, question: &Question<'_>) -> Result<Option<UtcTime>, Doubt> {
        match self.read()?.answer_for(question.certificate, question.issuer) {
            Ok(answer) => Ok(Some(answer.this_update)),
            Err(OcspError::OtherCertificate(_)) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}

/// What was told so far, and the doubt that tells most.
struct Gathered {
    facts: Vec<Fact>,
    doubt: Option<Doubt>,
}

impl Gathered {
    fn doubts(&mut self, why: Doubt) {
        if why.tells_no_less_than(self.doubt.as_ref()) {
            self.doubt = Some(why);
        }
    }

    /// Whether it told something.
    fn take(&mut self, told: Result<Option<Fact>, Doubt>) -> bool {
        match told {
            Ok(fact) => {
                let told = fact.is_some();
                self.facts.extend(fact);
                told
            }
            Err(why) => {
                self.doubts(why);
                false
            }
        }
    }
}

impl<'a> Known<'a> {
    pub fn read(values: &'a ValueSlices<'a>) -> Self {
        let side = |origin| {
            let brought = values.by(origin);
            let list = |(value, head): &(Value<'a>, Option<Head<'a>>)| List {
                value: *value,
                head: *head,
                read: OnceCell::new(),
            };
            let reply = |value: &Value<'a>| Reply {
                value: *value,
                read: OnceCell::new(),
            };
            Side {
                origin,
                lists: brought.crls.iter().map(list).collect(),
                replies: brought.ocsp.iter().map(reply).collect(),
            }
        };
        Self {
            sides: [side(Origin::Caller), side(Origin::Document)],
            values,
        }
    }

    pub fn answer(&self, question: &Question<'_>) -> Verdict {
        if is_never_revoked(question.certificate) {
            return Verdict::Good { revoked_later: None };
        }
        let mut out = Gathered {
            facts: Vec::new(),
            doubt: None,
        };
        let (mut room_for_lists, mut room_for_replies) = (VALUES_MAX, VALUES_MAX);
        for side in &self.sides {
            let lists = Self::ask(
                question,
                &side.lists,
                (&mut room_for_lists, &mut out),
                |list| list.moment(question),
                |list| self.told_by_list(question, list, side.origin),
            );
            let replies = Self::ask(
                question,
                &side.replies,
                (&mut room_for_replies, &mut out),
                |reply| reply.moment(question),
                |reply| self.told_by_reply(question, reply, side.origin),
            );
            if lists.and(replies).is_err() {
                // What the judge knows may hide a revocation. What a document brings may be left out: it could have left it out.
                match side.origin {
                    Origin::Caller => return Verdict::Doubt(Doubt::TooManyChecks),
                    Origin::Document => out.doubts(Doubt::TooManyChecks),
                }
            }
        }
        question.conclude(&out.facts, out.doubt)
    }

    /// Chooses of the values of one kind: each that is about the certificate has its moment. What they tell takes of `room`.
    fn ask<V>(
        question: &Question<'_>,
        values: &[V],
        (room, out): (&mut usize, &mut Gathered),
        moment: impl Fn(&V) -> Result<Option<UtcTime>, Doubt>,
        tell: impl Fn(&V) -> Result<Result<Option<Fact>, Doubt>, Over>,
    ) -> Result<(), Over> {
        let mut candidates = Vec::new();
        for value in values {
            match moment(value) {
                Ok(Some(moment)) => candidates.push((moment, value)),
                Ok(None) => {}
                Err(why) => out.doubts(why),
            }
        }
        let before = out.facts.len();
        let chosen = question.choose(candidates, *room, out, tell);
        *room = room.saturating_sub(out.facts.len() - before);
        chosen
    }

    fn told_by_list(
        &self,
        question: &Question<'_>,
        list: &List<'a>,
        origin: Origin,
    ) -> Result<Result<Option<Fact>, Doubt>, Over> {
        let told = || -> Result<(&Crl<'a>, Status), Doubt> {
            let crl = list.read()?;
            crl.check_covers(question.certificate)?;
            question.check_issuer_at(crl.this_update)?;
            crl.check_may_sign(question.issuer)?;
            let status = match crl.find(question.certificate.serial())? {
                None => Status::Good,
                Some(entry) => Status::Revoked {
                    at: entry.revoked_at,
                    reason: entry.reason,
                    invalid_since: entry.invalid_since,
                },
            };
            Ok((crl, status))
        };
        let (crl, status) = match told() {
            Ok(told) => told,
            Err(why) => return Ok(Err(why)),
        };
        let is_signed = || crl.is_signed_by(question.issuer);
        let checks = &self.values.checks;
        if !checks.holds(list.value.sha256, question.issuer, origin, is_signed)? {
            return Ok(Err(CrlError::Signature(crl.issuer()).into()));
        }
        Ok(Ok(Some(Fact {
            status,
            from: crl.this_update,
            to: crl.next_update,
            remembers_since: crl.keeps_expired_since,
        })))
    }

    fn told_by_reply(
        &self,
        question: &Question<'_>,
        reply: &Reply<'a>,
        origin: Origin,
    ) -> Result<Result<Option<Fact>, Doubt>, Over> {
        let over = Cell::new(false);
        let holds = |signed: Signed<'_>, signer: &Certificate| {
            let of = match signed {
                Signed::Response(_) => reply.value.sha256,
                Signed::Certificate(certificate) => certificate.fingerprint(),
            };
            let checked = self
                .values
                .checks
                .holds(of, signer, origin, || signed.is_signed_by(signer));
            over.set(over.get() || checked.is_err());
            checked.unwrap_or(false)
        };
        let told = self.read_reply(question, reply, &holds);
        match told {
            Err(_) if over.get() => Err(Over),
            Err(Doubt::Responder { why, .. }) if *why == Doubt::TooManyChecks => Err(Over),
            told => Ok(told),
        }
    }

    fn read_reply(
        &self,
        question: &Question<'_>,
        reply: &Reply<'a>,
        holds: &dyn Fn(Signed<'_>, &Certificate) -> bool,
    ) -> Result<Option<Fact>, Doubt> {
        let response = reply.read()?;
        let answer = response.answer_for(question.certificate, question.issuer)?;
        question.check_issuer_at(response.produced_at)?;
        match response.signer(question.issuer, &self.values.certificates, holds)? {
            Signer::Issuer => {}
            Signer::Delegate(responder) if question.delegates == Delegates::Refused => {
                return Err(OcspError::NotAuthorised {
                    responder: responder.subject(),
                    issuer: question.issuer.subject(),
                }
                .into());
            }
            Signer::Delegate(responder) => self.check_delegate(question, &responder, response.produced_at)?,
        }
        Ok(Some(Fact {
            status: answer.status,
            from: answer.this_update,
            // RFC 6960 4.2.2.1: without nextUpdate newer information is to be had at once; it speaks of its own time only.
            to: answer.next_update.unwrap_or(response.produced_at),
            remembers_since: answer.archive_cutoff,
        }))
    }

    /// RFC 6960 4.2.2.2.1: a delegate may be revoked like anybody, unless its issuer says that nobody need ask. Its chain is
    /// that of the question: its issuer is the issuer asked about. Another delegate's word does not do.
    fn check_delegate(
        &self,
        question: &Question<'_>,
        responder: &Certificate,
        produced_at: UtcTime,
    ) -> Result<(), Doubt> {
        if responder.extension(extension::OCSP_NO_CHECK).is_some() {
            return Ok(());
        }
        let about_responder = Question {
            certificate: responder,
            issuer: question.issuer,
            issuer_revoked_at: question.issuer_revoked_at,
            at: produced_at,
            grace: Duration::ZERO,
            delegates: Delegates::Refused,
        };
        match self.answer(&about_responder) {
            Verdict::Good { .. } => Ok(()),
            Verdict::Revoked { at, .. } => Err(Doubt::ResponderRevoked {
                responder: responder.subject(),
                at,
            }),
            Verdict::Doubt(why) => Err(Doubt::Responder {
                responder: responder.subject(),
                why: Box::new(why),
            }),
        }
    }
}

impl Question<'_> {
    /// Takes what the candidates, each of its moment, tell: all of them while there is room, else the telling ones.
    fn choose<T: Copy>(
        &self,
        mut candidates: Vec<(UtcTime, T)>,
        room: usize,
        out: &mut Gathered,
        tell: impl Fn(T) -> Result<Result<Option<Fact>, Doubt>, Over>,
    ) -> Result<(), Over> {
        if candidates.len() <= room {
            for (_, candidate) in candidates {
                out.take(tell(candidate)?);
            }
            return Ok(());
        }
        if room == 0 {
            return Ok(());
        }
        candidates.sort_by_key(|(from, _)| *from);
        let mut left: Vec<Option<T>> = candidates.iter().map(|(_, c)| Some(*c)).collect();
        let mut taken = vec![false; left.len()];
        // How many are of `moment` or before.
        let up_to = |moment: UtcTime| candidates.partition_point(|(from, _)| *from <= moment);
        let before = |moment: UtcTime| candidates.partition_point(|(from, _)| *from < moment);
        let all = candidates.len();
        let backward = |end: usize| (0..end).rev().collect::<Vec<_>>();
        let forward = |start: usize| (start..all).collect::<Vec<_>>();
        let ways = [
            backward(all),
            backward(up_to(self.at)),
            forward(before(self.at)),
            forward(before(self.at.plus(self.grace))),
            backward(up_to(self.certificate.not_after())),
        ];
        for way in ways {
            for n in way {
                if taken.get(n) == Some(&true) {
                    break;
                }
                let Some(candidate) = left.get_mut(n).and_then(Option::take) else {
                    continue;
                };
                if out.take(tell(candidate)?) {
                    if let Some(taken) = taken.get_mut(n) {
                        *taken = true;
                    }
                    break;
                }
            }
        }
        Ok(())
    }
}
