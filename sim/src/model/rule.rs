//! The rules that can be broken one at a time, to see that the model would notice: each must lead to a broken invariant
//! within its bounds.

use std::fmt;

use super::{Bounds, Doubt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    LeaderNotDurable,
    CommitInMemory,
    DurableOnMinIsr,
    CommittedIsrOnly,
    NoMinIsr,
    MinIsrOfMaximal,
    ExpandOnLogEnd,
    NoEpochStart,
    OldReports,
    ReportBeforeAgreement,
    OldPartitionEpoch,
    LateAnswerWins,
    RefusalForgets,
    RepeatWithNewBrokerEpochs,
    NoBrokerEpoch,
    FencedMayJoin,
    RegisterUnfenced,
    SuspectStaysEligible,
    RotIsNotTold,
    RecoverWithoutAll,
    RecoverByLogEnd,
    RecoveryForgetsOthers,
    UncleanElection,
    ElectionKeepsEpoch,
    TruncateToHighWatermark,
    NoDivergenceCheck,
    HighWatermarkAheadOfDisk,
}

impl Rule {
    pub const ALL: [Self; 27] = [
        Self::LeaderNotDurable,
        Self::CommitInMemory,
        Self::DurableOnMinIsr,
        Self::CommittedIsrOnly,
        Self::NoMinIsr,
        Self::MinIsrOfMaximal,
        Self::ExpandOnLogEnd,
        Self::NoEpochStart,
        Self::OldReports,
        Self::ReportBeforeAgreement,
        Self::OldPartitionEpoch,
        Self::LateAnswerWins,
        Self::RefusalForgets,
        Self::RepeatWithNewBrokerEpochs,
        Self::NoBrokerEpoch,
        Self::FencedMayJoin,
        Self::RegisterUnfenced,
        Self::SuspectStaysEligible,
        Self::RotIsNotTold,
        Self::RecoverWithoutAll,
        Self::RecoverByLogEnd,
        Self::RecoveryForgetsOthers,
        Self::UncleanElection,
        Self::ElectionKeepsEpoch,
        Self::TruncateToHighWatermark,
        Self::NoDivergenceCheck,
        Self::HighWatermarkAheadOfDisk,
    ];

    /// As it is written on a command line.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        name
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// What is done instead of the rule.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LeaderNotDurable => "a leader commits what it has not made durable itself",
            Self::CommitInMemory => "records are committed when all have them in memory",
            Self::DurableOnMinIsr => "records are committed when all have them in memory and min ISR durably",
            Self::CommittedIsrOnly => {
                "a leader that asked for a larger ISR does not wait for the new member yet"
            }
            Self::NoMinIsr => "a leader commits though the ISR is too small",
            Self::MinIsrOfMaximal => "a member that was only asked for counts towards the min ISR",
            Self::ExpandOnLogEnd => "a follower joins the ISR by what it has in memory",
            Self::NoEpochStart => {
                "a follower joins the ISR without the records that the leader began its epoch with"
            }
            Self::OldReports => "a leader believes durable ends reported to it in an earlier epoch",
            Self::ReportBeforeAgreement => {
                "a follower reports its durable end before its log agrees with the leader's"
            }
            Self::OldPartitionEpoch => "the controller grants requests made at an older partition epoch",
            Self::LateAnswerWins => "a late answer overrides a newer partition epoch",
            Self::RefusalForgets => {
                "a refusal makes a leader forget copies of the request that are still under way"
            }
            Self::RepeatWithNewBrokerEpochs => {
                "a repeated request carries broker epochs that were not found fit"
            }
            Self::NoBrokerEpoch => "the controller does not compare broker epochs",
            Self::FencedMayJoin => "the controller lets a fenced broker join the ISR",
            Self::RegisterUnfenced => "a broker registers before its former self is fenced",
            Self::SuspectStaysEligible => "a broker that may have lost durable records stays in the ELR",
            Self::RotIsNotTold => "a rotten tail is taken for a torn one",
            Self::RecoverWithoutAll => {
                "the best of those present leads without asking all of the last known ELR"
            }
            Self::RecoverByLogEnd => "the last known ELR is compared by what its members have in memory",
            Self::RecoveryForgetsOthers => {
                "a recovery forgets the last known ELR before the ISR is large enough"
            }
            Self::UncleanElection => "any broker leads when ISR and ELR are out of reach",
            Self::ElectionKeepsEpoch => "a new leader does not get a new epoch",
            Self::TruncateToHighWatermark => "a follower truncates to its high watermark in a new epoch",
            Self::NoDivergenceCheck => "a follower appends without comparing epochs",
            Self::HighWatermarkAheadOfDisk => "a high watermark is remembered beyond what is durable",
        }
    }

    /// Small bounds within which breaking the rule shows.
    pub fn bounds(self) -> Bounds {
        let three = Bounds {
            replicas: 3,
            min_insync_replicas: 2,
            records: 1,
            crashes: 0,
            fences: 1,
            alters: 1,
            moves: 0,
            rots: 0,
            doubt: Doubt::Never,
        };
        let two = Bounds { replicas: 2, ..three };
        match self {
            Self::LeaderNotDurable | Self::CommitInMemory | Self::ElectionKeepsEpoch => two,
            Self::DurableOnMinIsr
            | Self::CommittedIsrOnly
            | Self::NoMinIsr
            | Self::ExpandOnLogEnd
            | Self::OldPartitionEpoch
            | Self::FencedMayJoin
            | Self::TruncateToHighWatermark => three,
            Self::UncleanElection => Bounds { crashes: 1, fences: 2, alters: 0, ..three },
            Self::NoEpochStart | Self::MinIsrOfMaximal => Bounds { crashes: 1, ..three },
            Self::OldReports => Bounds { records: 2, moves: 2, alters: 0, fences: 0, ..three },
            Self::ReportBeforeAgreement | Self::NoDivergenceCheck => Bounds { records: 2, ..three },
            Self::LateAnswerWins => Bounds { records: 0, alters: 2, fences: 0, ..three },
            Self::RefusalForgets => Bounds { records: 0, alters: 2, fences: 2, ..three },
            Self::RepeatWithNewBrokerEpochs => Bounds { alters: 2, crashes: 1, rots: 1, ..three },
            Self::NoBrokerEpoch => Bounds { crashes: 1, rots: 1, ..three },
            Self::RegisterUnfenced => Bounds { crashes: 1, rots: 1, fences: 0, alters: 0, ..two },
            Self::SuspectStaysEligible | Self::RotIsNotTold => {
                Bounds { crashes: 1, rots: 1, alters: 0, ..two }
            }
            Self::RecoverWithoutAll | Self::RecoverByLogEnd => {
                Bounds { crashes: 2, rots: 1, alters: 0, doubt: Doubt::Possible, ..two }
            }
            Self::RecoveryForgetsOthers => {
                Bounds { crashes: 3, rots: 1, alters: 0, fences: 0, doubt: Doubt::Possible, ..two }
            }
            Self::HighWatermarkAheadOfDisk => Bounds { records: 2, crashes: 1, alters: 0, ..three },
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
