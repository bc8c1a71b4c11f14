//! Where a group puts what it decides, and what it may look at while deciding. Knows no group.

use super::command::GroupReply;
use super::record::GroupRecord;
use super::settings::GroupSettings;
use crate::coordinator::{Answer, Decision, Token, When};
use crate::prng::Prng;
use crate::time::Now;

/// One step of one group.
#[derive(Debug)]
pub struct Out<'a> {
    pub now: Now,
    pub prng: &'a mut Prng,
    pub settings: &'a GroupSettings,
    pub decision: &'a mut Decision<GroupRecord, GroupReply>,
}

impl Out<'_> {
    pub(super) fn answer(&mut self, to: Token, reply: GroupReply, when: When) {
        self.decision.answers.push(Answer { to, reply, when });
    }
}
