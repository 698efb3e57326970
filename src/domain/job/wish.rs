//! What somebody wants of a job, and whether it is granted: the one function that decides.

use super::{
    APPROVALS_MAX, DELEGATIONS_MAX, Deed, Delegation, Given, Happening, Job, JobState, Moved,
    PARTICIPANTS_MAX, Standing, Terms, Undoable,
};
use crate::clock::UtcTime;
use crate::domain::org::{Organisation, Permission, User, UserKind};
use crate::domain::rule::{Direction, Need, Part, Who};
use crate::domain::signature::SignatureDemand;
use crate::id::{JobId, UserId};
use serde::{Deserialize, Serialize};

/// Longest note with a decision, in octets: the reason of a rejection, not a letter.
pub const NOTE_MAX_OCTETS: usize = 2000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    Approve,
    Reject,
    /// Give it back to its author for changes.
    Return,
    Release,
    Withdraw,
    Cancel,
    /// Hand one's own decision on this step to somebody else.
    Delegate(UserId),
    /// Let others decide the current step in place of its parties.
    Reassign(Who),
    /// Take the last decision back.
    Undo,
}

impl Act {
    pub fn word(self) -> &'static str {
        match self {
            Act::Approve => "approve",
            Act::Reject => "reject",
            Act::Return => "return",
            Act::Release => "release",
            Act::Withdraw => "withdraw",
            Act::Cancel => "cancel",
            Act::Delegate(_) => "delegate",
            Act::Reassign(_) => "reassign",
            Act::Undo => "undo",
        }
    }
}

/// By which way a decision came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// A message was moved to a mailbox.
    Folder,
    Keyword,
    Kepctl,
    /// A message was submitted: an answer to a status message, or a mail handed in anew.
    Mail,
}

impl Route {
    pub fn word(self) -> &'static str {
        match self {
            Route::Folder => "folder",
            Route::Keyword => "keyword",
            Route::Kepctl => "kepctl",
            Route::Mail => "mail",
        }
    }
}

/// What somebody wants to do with a job.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub act: Act,
    pub actor: &'a User,
    pub actor_login: &'a str,
    pub route: Route,
    pub note: &'a str,
    /// The digest of what the actor saw.
    pub original_sha256: [u8; 32],
    pub at: UtcTime,
}

/// Why a wish is not granted. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobRefusal {
    #[error("this job has ended ({0}); nothing more can be decided on it")]
    Ended(&'static str),
    #[error("this step waits for \"{waits_for}\"; you are not one of them, or may not approve")]
    NotYourStep { waits_for: String },
    #[error("nobody approves his own mail; another user has to decide this step")]
    OwnMail,
    #[error("you have decided this step already; it waits for \"{waits_for}\"")]
    AlreadyDecided { waits_for: String },
    #[error("not all approvals are given yet; it can be released when it is in \"Gönderime Hazır\"")]
    NotReady,
    #[error("all approvals are given already; an officer may release or reject it")]
    AlreadyApproved,
    #[error("the mail was given back to its author for changes; it can be decided when it is handed in anew")]
    GivenBack,
    #[error("the mail is released and leaves in a moment; whoever released it can still undo that")]
    Leaving,
    #[error(
        "mail of this account leaves with an officer's signature: hand the same mail in from your mail reader, signed (S/MIME, NES), \
         with the header \"X-KEP-Is: {0}\" or in its thread"
    )]
    Unsigned(JobId),
    #[error("only an officer (işlem yetkilisi) may do this")]
    NotOfficer,
    #[error("only an officer, or a role with the permission \"jobs\", may do this")]
    NotJobManager,
    #[error("only its author may withdraw a mail")]
    NotAuthor,
    #[error("this is the job of an incoming mail; it can be approved, rejected or cancelled")]
    Incoming,
    #[error("\"{0}\" cannot decide this step: no user of that name who may approve, or the author himself")]
    NotAble(String),
    #[error("nobody of \"{0}\" may approve here; choose another role, unit or user")]
    NobodyAble(String),
    #[error(
        "there is no decision of yours to undo: it is too late, something followed from it, or it was another's"
    )]
    NothingToUndo,
    #[error(
        "the octets you decided on are not the octets of this job; open it again and decide on what it holds now"
    )]
    OtherOctets,
    #[error("the note is longer than {NOTE_MAX_OCTETS} octets")]
    NoteTooLong,
    #[error(
        "this step has as many approvals or delegations as it can hold; let an officer reassign or cancel it"
    )]
    TooMany,
}

/// As what somebody decides.
struct Hand {
    part: u8,
    who: Who,
    in_name_of: UserId,
}

impl Job {
    /// The one function by which a person moves a job. Gives the job as it stands afterwards with what is to be written
    /// into its history, or says why not.
    pub fn decide(&self, org: &Organisation, terms: &Terms, wish: &Wish<'_>) -> Result<Moved, JobRefusal> {
        if wish.original_sha256 != self.original_sha256 {
            return Err(JobRefusal::OtherOctets);
        }
        if wish.note.len() > NOTE_MAX_OCTETS {
            return Err(JobRefusal::NoteTooLong);
        }
        if wish.act == Act::Undo {
            return self.undo(org, wish);
        }
        let mut job = self.clone();
        let hand = job.obey(org, terms, wish)?;
        // Whom it is only handed to is none of them yet: when that is undone, he has nothing to do with it.
        if job.participants.len() < PARTICIPANTS_MAX {
            job.participants.insert(wish.actor.id);
        }
        job.undoable = Some(Undoable {
            by: wish.actor.id,
            until: wish.at.plus(match job.standing.state {
                JobState::Leaving(_) => terms.send_delay,
                _ => terms.undo,
            }),
            before: self.standing.clone(),
        });
        if job.standing.state == JobState::Released {
            job.undoable = None;
        }
        job.ended_at = job.is_ended().then_some(wish.at);
        Ok(job.moved(org, self.happening(org, wish, hand.as_ref())))
    }

    /// Whether an officer's signature releases it as it stands.
    pub fn awaits_signature(&self) -> Result<(), JobRefusal> {
        match self.standing.state {
            _ if self.direction == Direction::Incoming => Err(JobRefusal::Incoming),
            JobState::Ready => Ok(()),
            JobState::Waiting(_) => Err(JobRefusal::NotReady),
            JobState::Returned => Err(JobRefusal::GivenBack),
            JobState::Leaving(_) => Err(JobRefusal::Leaving),
            state => Err(JobRefusal::Ended(state.word())),
        }
    }

    /// An officer hands the approved mail in anew, with his signature: it leaves in that form, at once, and nothing takes
    /// that back.
    pub fn release_signed(&self, org: &Organisation, wish: &Wish<'_>) -> Result<Moved, JobRefusal> {
        if wish.original_sha256 != self.original_sha256 {
            return Err(JobRefusal::OtherOctets);
        }
        self.awaits_signature()?;
        if wish.actor.kind != UserKind::Officer || wish.actor.removed {
            return Err(JobRefusal::NotOfficer);
        }
        let mut job = self.clone();
        if job.participants.len() < PARTICIPANTS_MAX {
            job.participants.insert(wish.actor.id);
        }
        job.end(JobState::Released)?;
        job.undoable = None;
        job.ended_at = Some(wish.at);
        Ok(job.moved(org, self.happening(org, wish, None)))
    }

    /// Words about the job that decide nothing.
    pub fn note(&self, org: &Organisation, wish: &Wish<'_>) -> Result<Moved, JobRefusal> {
        if wish.note.len() > NOTE_MAX_OCTETS {
            return Err(JobRefusal::NoteTooLong);
        }
        // Who leaves words has no hand in it: they give nobody a lasting sight of the mail.
        let happening = Happening {
            deed: Deed::Noted,
            ..self.happening(org, wish, None)
        };
        Ok(self.clone().moved(org, happening))
    }

    /// Writes the happening down, and that nobody is left who could decide if that is so now.
    fn moved(mut self, org: &Organisation, happening: Happening) -> Moved {
        let at = happening.at;
        let mut entries = vec![self.entry(happening)];
        entries.extend(self.note_stuck(org, at));
        Moved { job: self, entries }
    }

    fn happening(&self, org: &Organisation, wish: &Wish<'_>, hand: Option<&Hand>) -> Happening {
        let for_other = hand.filter(|h| h.in_name_of != wish.actor.id);
        let principal = for_other.and_then(|h| org.users.get(&h.in_name_of));
        Happening {
            deed: Deed::Decided(wish.act),
            at: wish.at,
            actor: Some(wish.actor.id),
            actor_login: wish.actor_login.to_owned(),
            in_name_of: principal.map(|u| format!("{}@{}", u.name, org.tenant.name)),
            step: match self.standing.state {
                JobState::Waiting(n) => Some(n + 1),
                _ => None,
            },
            role: hand.map(|h| org.who(h.who)),
            to: Deed::Decided(wish.act).named().map(|who| org.who(who)),
            route: Some(wish.route),
            note: wish.note.to_owned(),
        }
    }

    /// Changes the job as wished; gives as what the actor decided, when he decided a step.
    fn obey(
        &mut self,
        org: &Organisation,
        terms: &Terms,
        wish: &Wish<'_>,
    ) -> Result<Option<Hand>, JobRefusal> {
        let officer = wish.actor.kind == UserKind::Officer && !wish.actor.removed;
        let incoming = self.direction == Direction::Incoming;
        match (self.standing.state, wish.act) {
            (state, _) if state.is_ended() => Err(JobRefusal::Ended(state.word())),
            (JobState::Leaving(_), _) => Err(JobRefusal::Leaving),
            (_, Act::Withdraw) if self.author == Some(wish.actor.id) => self.end(JobState::Withdrawn),
            (_, Act::Withdraw) => Err(JobRefusal::NotAuthor),
            (_, Act::Cancel) if org.may(wish.actor, Permission::Jobs) => self.end(JobState::Cancelled),
            (_, Act::Cancel) => Err(JobRefusal::NotJobManager),
            (JobState::Returned, _) => Err(JobRefusal::GivenBack),
            (_, Act::Return | Act::Release) if incoming => Err(JobRefusal::Incoming),
            (JobState::Waiting(n), Act::Approve) => self.approve(org, wish, n).map(Some),
            (JobState::Waiting(_), Act::Reject) => {
                let hand = self.hand(org, wish)?;
                self.end(JobState::Rejected).map(|_| Some(hand))
            }
            (JobState::Waiting(_), Act::Return) => {
                let hand = self.hand(org, wish)?;
                self.end(JobState::Returned).map(|_| Some(hand))
            }
            (JobState::Waiting(_), Act::Release) => Err(JobRefusal::NotReady),
            (JobState::Waiting(_), Act::Delegate(to)) => self.delegate(org, wish, to).map(Some),
            (JobState::Waiting(_), Act::Reassign(to)) => self.reassign(org, wish, to),
            (JobState::Ready, Act::Approve | Act::Delegate(_) | Act::Reassign(_)) => {
                Err(JobRefusal::AlreadyApproved)
            }
            (JobState::Ready, _) if !officer => Err(JobRefusal::NotOfficer),
            (JobState::Ready, Act::Release) if org.tenant.signature == SignatureDemand::Officer => {
                Err(JobRefusal::Unsigned(self.id))
            }
            (JobState::Ready, Act::Reject) => self.end(JobState::Rejected),
            (JobState::Ready, Act::Return) => self.end(JobState::Returned),
            (JobState::Ready, Act::Release) if terms.send_delay.is_zero() => self.end(JobState::Released),
            (JobState::Ready, Act::Release) => self.end(JobState::Leaving(wish.at.plus(terms.send_delay))),
            (_, Act::Undo) => Err(JobRefusal::NothingToUndo),
            (state, _) => Err(JobRefusal::Ended(state.word())),
        }
    }

    fn end(&mut self, state: JobState) -> Result<Option<Hand>, JobRefusal> {
        self.standing.state = state;
        self.standing.late = false;
        Ok(None)
    }

    fn waits_for(&self, org: &Organisation) -> String {
        let open = self.open_parts(org).into_iter();
        let parts = open.filter_map(|index| self.standing.parts.get(usize::from(index)));
        parts.map(|part| org.who(part.who)).collect::<Vec<_>>().join(", ")
    }

    /// As what the actor may decide the current step.
    fn hand(&self, org: &Organisation, wish: &Wish<'_>) -> Result<Hand, JobRefusal> {
        let capacities = org.capacities(wish.actor, wish.at);
        let facet = self.facet(org);
        if let Some((opening, in_name_of)) = facet.opening(org, self.author, wish.actor.id, &capacities) {
            return Ok(Hand {
                part: opening.part,
                who: opening.who,
                in_name_of,
            });
        }
        let waits_for = self.waits_for(org);
        Err(if facet.decided.contains(&wish.actor.id) {
            JobRefusal::AlreadyDecided { waits_for }
        } else if self.author == Some(wish.actor.id) && !self.own_approval {
            JobRefusal::OwnMail
        } else {
            JobRefusal::NotYourStep { waits_for }
        })
    }

    fn approve(&mut self, org: &Organisation, wish: &Wish<'_>, n: u16) -> Result<Hand, JobRefusal> {
        let hand = self.hand(org, wish)?;
        if self.standing.given.len() >= APPROVALS_MAX {
            return Err(JobRefusal::TooMany);
        }
        self.standing.given.push(Given {
            part: hand.part,
            by: wish.actor.id,
            in_name_of: hand.in_name_of,
            escalated: !self.members(org, hand.who).contains(&hand.in_name_of),
        });
        if self.open_parts(org).is_empty() {
            self.enter_step(n.saturating_add(1), wish.at);
        }
        Ok(hand)
    }

    fn delegate(&mut self, org: &Organisation, wish: &Wish<'_>, to: UserId) -> Result<Hand, JobRefusal> {
        let hand = self.hand(org, wish)?;
        let able = org
            .users
            .get(&to)
            .filter(|u| u.id != wish.actor.id && org.may(u, Permission::Approve))
            .filter(|u| self.author != Some(u.id) || self.own_approval);
        if able.is_none() || self.decided().contains(&to) {
            let name = org.users.get(&to).map_or("?", |u| u.name.as_str());
            return Err(JobRefusal::NotAble(name.to_owned()));
        }
        if self.standing.delegations.len() >= DELEGATIONS_MAX {
            return Err(JobRefusal::TooMany);
        }
        let delegation = Delegation {
            part: hand.part,
            from: hand.in_name_of,
            to,
        };
        self.standing.delegations.push(delegation);
        Ok(hand)
    }

    fn reassign(&mut self, org: &Organisation, wish: &Wish<'_>, to: Who) -> Result<Option<Hand>, JobRefusal> {
        if !org.may(wish.actor, Permission::Jobs) {
            return Err(JobRefusal::NotJobManager);
        }
        // He would choose himself who approves his mail.
        if self.author == Some(wish.actor.id) && !self.own_approval && wish.actor.kind != UserKind::Officer {
            return Err(JobRefusal::OwnMail);
        }
        if self.members(org, to).difference(&self.decided()).next().is_none() {
            return Err(JobRefusal::NobodyAble(org.who(to)));
        }
        let open = self.open_parts(org);
        let mut at = 0u8;
        // What is done stays done; one new party takes the place of those that are still asked.
        for part in &mut self.standing.parts {
            if open.contains(&at) {
                *part = Part {
                    who: to,
                    need: Need::One,
                };
            }
            at = at.saturating_add(1);
        }
        self.standing.stuck = false;
        Ok(None)
    }

    /// Takes the last decision back, if it is the actor's own and nothing followed from it.
    fn undo(&self, org: &Organisation, wish: &Wish<'_>) -> Result<Moved, JobRefusal> {
        let undoable = self
            .undoable
            .as_ref()
            .filter(|u| u.by == wish.actor.id && wish.at < u.until && !wish.actor.removed)
            .ok_or(JobRefusal::NothingToUndo)?;
        let mut job = self.clone();
        job.undoable = None;
        job.ended_at = None;
        job.standing = Standing::clone(&undoable.before);
        Ok(job.moved(org, self.happening(org, wish, None)))
    }
}
