//! Planted bugs: what the simulator must find, or it proves nothing. Each is a few lines at the place where the bug would be made,
//! asked for by [`on`]. Without the feature `mutants` that is a constant false, and nothing of them is compiled.

/// The part of the broker in which a mutant lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Protocol,
    Log,
    Wal,
    Recovery,
    Producers,
    Commit,
    Index,
    Retention,
    Compaction,
    Controller,
    Configs,
    Resources,
    Groups,
    Driver,
}

impl Area {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Log => "log",
            Self::Wal => "wal",
            Self::Recovery => "recovery",
            Self::Producers => "producers",
            Self::Commit => "commit",
            Self::Index => "index",
            Self::Retention => "retention",
            Self::Compaction => "compaction",
            Self::Controller => "controller",
            Self::Configs => "configs",
            Self::Resources => "resources",
            Self::Groups => "groups",
            Self::Driver => "driver",
        }
    }
}

macro_rules! mutants {
    ($($variant:ident, $name:literal, $area:ident, $breaks:literal;)*) => {
        /// One planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Mutant {
            $(#[doc = $breaks] $variant,)*
        }

        impl Mutant {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn area(self) -> Area {
                match self { $(Self::$variant => Area::$area,)* }
            }

            /// What it does, in a sentence.
            pub const fn breaks(self) -> &'static str {
                match self { $(Self::$variant => $breaks,)* }
            }

            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
            }
        }
    };
}

mutants! {
    AnswersOutOfOrder, "answers-out-of-order", Protocol,
        "Answers of a connection go out as they are ready.";
    WrongCorrelationId, "wrong-correlation-id", Protocol,
        "Some fetches are answered under the next request's number.";
    PartitionAnswerDropped, "partition-answer-dropped", Protocol,
        "The last of several partitions of a produce is not answered.";
    ErrorSwallowed, "error-swallowed", Protocol,
        "A batch that found no room is acknowledged.";
    SessionForgetsOffset, "session-forgets-offset", Protocol,
        "A fetch session reads on from where it began.";
    ReadSkipsMidBatch, "read-skips-mid-batch", Log,
        "A read from within a batch begins with the next one.";
    EndOutOfRange, "end-out-of-range", Log,
        "A read at the end of the log is out of range.";
    CutLosesBlock, "cut-loses-block", Log,
        "The last block of a full segment is cut off.";
    DestagePieceLost, "destage-piece-lost", Log,
        "Only the first piece of a run goes to its segment.";
    WrongBaseOffset, "wrong-base-offset", Log,
        "The first batch of a new segment is stamped with the next offset.";
    EpochStartsLate, "epoch-starts-late", Log,
        "The epoch cache notes the last offset of an epoch's first batch.";
    AckBeforeWrite, "ack-before-write", Wal,
        "A batch is acknowledged before its write has ended.";
    AckOnRunningFlush, "ack-on-running-flush", Wal,
        "A write counts as durable by a flush that ran already when it completed.";
    OlderWriteNotAwaited, "older-write-not-awaited", Wal,
        "A write that ends before an older one is acknowledged at once.";
    WriteErrorIgnored, "write-error-ignored", Wal,
        "A failed write of the WAL counts as done.";
    TornBatchAccepted, "torn-batch-accepted", Wal,
        "The CRC of a batch in a frame is not looked at.";
    OldFramesBelieved, "old-frames-believed", Wal,
        "What a recycled file held before goes on behind its newest frame.";
    ProvenTooHigh, "proven-too-high", Wal,
        "A frame calls the frames of its own write durable.";
    PinReleasedUnsynced, "pin-released-unsynced", Wal,
        "The WAL lets go of what a segment was written with and not synced.";
    FailedSyncRetried, "failed-sync-retried", Wal,
        "A sync of a segment that failed is tried again.";
    CheckpointTooNew, "checkpoint-too-new", Wal,
        "A checkpoint passes over frames that are not destaged.";
    PinnedFileRecycled, "pinned-file-recycled", Wal,
        "A file of the WAL is written again while its frames are needed.";
    RecoveredNotSynced, "recovered-not-synced", Recovery,
        "Frames that were read back are built on without a sync.";
    SegmentsBelieved, "segments-believed", Recovery,
        "What a segment shows is believed before what the WAL has, and not synced.";
    FoundIsCut, "found-is-cut", Recovery,
        "What the disk alone has of a log whose WAL has rotted is cut off until it is written again.";
    FooterCrcIgnored, "footer-crc-ignored", Recovery,
        "The CRC of a footer is not looked at.";
    RotEndsLog, "rot-ends-log", Recovery,
        "A rotten frame is taken for the torn end of the WAL.";
    LastFrameDropped, "last-frame-dropped", Recovery,
        "The last frame of the WAL, which no later one proves, is dropped.";
    FenceNotWritten, "fence-not-written", Recovery,
        "A walked stream is not fenced.";
    StreamRemovedWhileHeld, "stream-removed-while-held", Recovery,
        "A stream of an earlier life goes before its last holder lets go.";
    ReleaseNotNoted, "release-not-noted", Recovery,
        "The files of a released stream go while its checkpoint still asks for them.";
    ReleasedRefused, "released-refused", Recovery,
        "The checkpoint of a released stream is not understood.";
    SecondCopyIgnored, "second-copy-ignored", Recovery,
        "Only the first copy of a superblock or a checkpoint is read.";
    LastMetadataSkipped, "last-metadata-skipped", Recovery,
        "The last record of the metadata is not replayed.";
    PointForgetsProducers, "point-forgets-producers", Recovery,
        "A recovery point brings no producers back.";
    PointsUnchecked, "points-unchecked", Recovery,
        "A recovery point is taken before its batches are durable, and believed whatever the WAL and the file say.";
    DuplicateAppended, "duplicate-appended", Producers,
        "A duplicate gets an offset of its own.";
    DedupWindowTooSmall, "dedup-window-too-small", Producers,
        "Only the newest batch of a producer is recognised again.";
    SequenceGapAccepted, "sequence-gap-accepted", Producers,
        "A sequence may leave some out.";
    EpochFencingIgnored, "epoch-fencing-ignored", Producers,
        "A producer of an older epoch may write.";
    ProducersNotRebuilt, "producers-not-rebuilt", Producers,
        "Recovery does not fold batches into the state of producers.";
    OneFooterCopy, "one-footer-copy", Producers,
        "The second copy of a footer is not looked at.";
    DuplicateAckedAtOnce, "duplicate-acked-at-once", Producers,
        "A duplicate is acknowledged before its original is durable.";
    FirstSequenceFree, "first-sequence-free", Producers,
        "A producer that is not known may begin with any sequence once others are known.";
    ReadBeyondDurable, "read-beyond-durable", Commit,
        "A read is given batches whose write has not ended.";
    HighWatermarkAhead, "high-watermark-ahead", Commit,
        "The high watermark follows the end of the log.";
    MetadataToldEarly, "metadata-told-early", Commit,
        "The controller answers before its records are committed.";
    IndexOffByOne, "index-off-by-one", Index,
        "A look-up by offset gives the entry behind the right one.";
    TimeIndexOffByOne, "time-index-off-by-one", Index,
        "A look-up by time gives the entry behind the right one.";
    IndexTimeTooLow, "index-time-too-low", Index,
        "An index entry knows the time of the batch before it only.";
    UnsealedDeleted, "unsealed-deleted", Retention,
        "A segment that is not on disk yet is deleted.";
    LogStartNotKept, "log-start-not-kept", Retention,
        "Deleted segments are back after a restart.";
    LastFileDeleted, "last-file-deleted", Retention,
        "The file whose name keeps the next offset is deleted.";
    NewestDeletedFirst, "newest-deleted-first", Retention,
        "Files of condemned segments go newest first.";
    RemovalPassedOver, "removal-passed-over", Retention,
        "A segment that could not be removed does not keep newer ones from going.";
    RetentionTooEager, "retention-too-eager", Retention,
        "A segment goes although the rest is smaller than what is to be kept.";
    DeletedFooterLost, "deleted-footer-lost", Retention,
        "No footer is left where the log starts.";
    ActiveFileAhead, "active-file-ahead", Retention,
        "The file that keeps the next offset begins at what is not durable.";
    TakenWhileRead, "taken-while-read", Retention,
        "A segment that goes while it is read is called rotten.";
    DeletionToldEarly, "deletion-told-early", Retention,
        "A deletion is told before the file is gone.";
    LogStartToldEarly, "log-start-told-early", Retention,
        "DeleteRecords is answered before the log's new start is on disk.";
    KeptStartNotProven, "kept-start-not-proven", Retention,
        "What a file says of a log's start is not held by the next life.";
    LogStartNotRead, "log-start-not-read", Recovery,
        "A restart forgets where a log begins within a segment.";
    LogStartOffByOne, "log-start-off-by-one", Retention,
        "The start of a log is written down one too low.";
    FirstValueKept, "first-value-kept", Compaction,
        "Of a key in the dirty part, older values stay and the newest goes.";
    TombstoneGoesAtOnce, "tombstone-goes-at-once", Compaction,
        "A tombstone goes in the first pass that sees it.";
    TombstoneForEver, "tombstone-for-ever", Compaction,
        "A tombstone stays, however long ago its time has passed.";
    CleanedUnsynced, "cleaned-unsynced", Compaction,
        "A cleaned segment is in force before it is synced.";
    ProducersNotCarried, "producers-not-carried", Compaction,
        "The footer of a cleaned segment does not tell of the producers.";
    GapCalledRot, "gap-called-rot", Compaction,
        "The batches of a cleaned segment have to join.";
    UnfinishedCounts, "unfinished-counts", Compaction,
        "After a crash the newest file of a segment counts, finished or not.";
    CleanedMoves, "cleaned-moves", Compaction,
        "What is left of a batch moves up by one offset.";
    MergedComesBack, "merged-comes-back", Compaction,
        "What the WAL still has of segments that were merged is taken for theirs after a crash.";
    DeletionForgotten, "deletion-forgotten", Controller,
        "A restart brings deleted topics back.";
    ProducerIdsHandedTwice, "producer-ids-handed-twice", Controller,
        "A restart forgets which producer ids were handed out.";
    TopicIdReused, "topic-id-reused", Controller,
        "A topic that is made again has the id of the old one.";
    BusyPassedOver, "busy-passed-over", Configs,
        "A segment that ends while files of its partition are at work is not looked at again.";
    AlterationForgotten, "alteration-forgotten", Configs,
        "A restart forgets which settings were altered.";
    TopicNotResolved, "topic-not-resolved", Configs,
        "A topic's altered settings are told, and not in force before a restart.";
    AnotherTopicAltered, "another-topic-altered", Configs,
        "The settings of the topic with the lowest id are altered.";
    DefaultNotInherited, "default-not-inherited", Configs,
        "What all brokers are set to does not reach topics that stand.";
    ValidationDone, "validation-done", Configs,
        "What was only to be validated is done.";
    RetentionOfOld, "retention-of-old", Retention,
        "A log keeps by the retention that it was opened with.";
    RetentionFromOldest, "retention-from-oldest", Retention,
        "A segment goes by the age of its oldest batch.";
    PolicyIgnored, "policy-ignored", Retention,
        "A topic whose cleanup policy is empty is cleaned up.";
    TimeFoundByBatch, "time-found-by-batch", Index,
        "A look-up by time gives the first record of its batch.";
    TimeOffByOne, "time-off-by-one", Index,
        "A look-up by time gives the offset behind the record.";
    MaxTimestampOfLast, "max-timestamp-of-last", Index,
        "The highest time is looked for in the last segment only.";
    ClosedPageLost, "closed-page-lost", Resources,
        "The page of a connection that closes is not given back.";
    ConnectionNotForgotten, "connection-not-forgotten", Resources,
        "A connection that is closed stays in the table.";
    FetchNeverAnswered, "fetch-never-answered", Resources,
        "A fetch that waits is not answered when its time is over.";
    DestagePageLost, "destage-page-lost", Resources,
        "The page of a destaging is never free again.";
    WatchNotForgotten, "watch-not-forgotten", Resources,
        "A partition remembers fetches that were answered.";
    FramesHoldAll, "frames-hold-all", Resources,
        "Frames that came in part wait for the pages that they hold.";
    ParkedNotResumed, "parked-not-resumed", Resources,
        "A produce that waits for room is never tried again.";
    MemoryNotMade, "memory-not-made", Resources,
        "A produce that finds no page waits for pages that nobody sets free.";
    SealSpins, "seal-spins", Resources,
        "A seal that finds no page is tried again at once, and again.";
    FullNotTold, "full-not-told", Resources,
        "Producers whose batches a full disk cannot take are left waiting.";
    FullForEver, "full-for-ever", Resources,
        "A disk that was full is never tried again.";
    FetchHoldsAndWaits, "fetch-holds-and-waits", Resources,
        "A fetch that holds pages waits for more.";
    StarvedNotRetried, "starved-not-retried", Resources,
        "A connection that found no memory is never tried again.";
    AnsweredUncommitted, "answered-uncommitted", Groups,
        "A coordinator answers before its records are committed.";
    LastRecordsNotLoaded, "last-records-not-loaded", Groups,
        "A coordinator that starts passes over the last batch that it reads.";
    CommitsNotLoaded, "commits-not-loaded", Groups,
        "A restart forgets what groups have committed.";
    FirstCommitKept, "first-commit-kept", Groups,
        "What is committed again stays as it was.";
    CommitCutShort, "commit-cut-short", Groups,
        "Of a commit of several partitions the last is not written.";
    OffsetsOfAnotherGroup, "offsets-of-another-group", Groups,
        "What the first group has committed is told to all.";
    OffsetsExpireAtOnce, "offsets-expire-at-once", Groups,
        "Offsets of a group without members expire when they are looked at.";
    CommitOfOldGeneration, "commit-of-old-generation", Groups,
        "Who was in an older generation of a classic group may commit.";
    CommitOfGoneMember, "commit-of-gone-member", Groups,
        "Who is no member of a group of the consumer protocol any more may commit.";
    SessionNotEnded, "session-not-ended", Groups,
        "A member of a classic group stays when its session ends.";
    ConsumerSessionNotEnded, "consumer-session-not-ended", Groups,
        "A member of the consumer protocol stays when its session ends.";
    SessionNotBegunAgain, "session-not-begun-again", Groups,
        "After a restart the sessions of a classic group never end.";
    ConsumerSessionNotBegunAgain, "consumer-session-not-begun-again", Groups,
        "After a restart the sessions of the consumer protocol never end.";
    GenerationNotBumped, "generation-not-bumped", Groups,
        "The next generation has the number of the last one.";
    FormerAssignmentTold, "former-assignment-told", Groups,
        "A sync is answered with what the member had before.";
    MembersNotTold, "members-not-told", Groups,
        "The leader of a generation is not told who is in it.";
    UnreleasedGiven, "unreleased-given", Groups,
        "A member is given what another has not given back.";
    RevocationNotAwaited, "revocation-not-awaited", Groups,
        "What a member is to give back counts as given back.";
    MemberNotBuried, "member-not-buried", Groups,
        "The tombstone of what a member has says nothing.";
    LastPartitionUnassigned, "last-partition-unassigned", Groups,
        "The last partition of a topic is assigned to nobody.";
    AnsweredTwice, "answered-twice", Groups,
        "A decision that waits for room is answered, and answered again.";
    ReplacementNotWritten, "replacement-not-written", Groups,
        "The new id of a static member is not written down.";
    TombstonesNotLoaded, "tombstones-not-loaded", Groups,
        "A coordinator that starts passes over tombstones.";
    SyncNotRefused, "sync-not-refused", Groups,
        "Who waits for its assignment when its group agrees anew is never answered.";
    ExpiryIgnoresMembers, "expiry-ignores-members", Groups,
        "Offsets of a group that has members grow old too.";
    OffsetsKeptForEver, "offsets-kept-for-ever", Groups,
        "Offsets of a group that has become empty never expire.";
    ExpirySinceCommit, "expiry-since-commit", Groups,
        "Offsets of a classic group grow old from their commit, however long it had members.";
    UpgradeForgetsAssignment, "upgrade-forgets-assignment", Groups,
        "A member that goes over to the consumer protocol with its group has nothing there.";
    DowngradeNotTold, "downgrade-not-told", Groups,
        "Who is left when a group goes back to the classic protocol is not told to join again.";
    RejoinNotAsked, "rejoin-not-asked", Groups,
        "A member of the classic protocol in a group of the consumer protocol is never told to join again.";
    MigratedSessionLost, "migrated-session-lost", Groups,
        "The session of a member that goes over to the consumer protocol with its group never ends.";
    ShortWriteForgotten, "short-write-forgotten", Driver,
        "What a short write left is never sent.";
    ShortWriteRepeated, "short-write-repeated", Driver,
        "What a short write took is sent again.";
    ShortReadEnds, "short-read-ends", Driver,
        "A read that does not fill its page is taken for the end of the stream.";
    GrantedPageLost, "granted-page-lost", Driver,
        "The page of a read that a close interrupted does not come back.";
    ClosedTwice, "closed-twice", Driver,
        "Both tasks of a connection tell that it is gone.";
    SentForgotten, "sent-forgotten", Driver,
        "Of sends that went out as one, only the last is told.";
    SlotFreedEarly, "slot-freed-early", Driver,
        "A connection is gone while one of its two tasks still works.";
    EffectDropped, "effect-dropped", Driver,
        "An effect is taken while the mesh is full, and lost.";
    StopLeavesDisk, "stop-leaves-disk", Driver,
        "An orderly end does not wait for the disk.";
    SendsReordered, "sends-reordered", Driver,
        "The last of several waiting sends goes first.";
    NamesNotSynced, "names-not-synced", Driver,
        "A start builds on names whose directory was not synced.";
    LateTimerSpins, "late-timer-spins", Driver,
        "A driver that is late and whose mesh is full does not sleep.";
    TimerIgnored, "timer-ignored", Driver,
        "A sleep does not end at the deadline of the machine.";
}

/// Which mutant is planted in this process: its place in [`Mutant::ALL`] plus one. One switch for all threads, set before a run
/// and never within.
#[cfg(feature = "mutants")]
static PLANTED: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Plants a mutant, or takes the planted one away.
#[cfg(feature = "mutants")]
pub fn set(mutant: Option<Mutant>) {
    PLANTED.store(mutant.map_or(0, |mutant| mutant as u8 + 1), core::sync::atomic::Ordering::Relaxed);
}

/// Whether a mutant is planted.
#[cfg(feature = "mutants")]
#[inline]
pub fn on(mutant: Mutant) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == mutant as u8 + 1
}

/// Never: this build has no mutants.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn on(_: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::Mutant;

    #[test]
    fn names_are_unique_and_lead_back() {
        let names: BTreeSet<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), Mutant::ALL.len());
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::named(mutant.name()), Some(*mutant));
            assert!(mutant.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
        assert_eq!(Mutant::named("none"), None);
    }

    #[cfg(not(feature = "mutants"))]
    #[test]
    fn build_without_mutants_has_none() {
        assert!(Mutant::ALL.iter().all(|mutant| !super::on(*mutant)));
    }
}
