//! Topics that come, go and grow; regular expressions; the choice of an assignor.

use alloc::string::ToString;
use alloc::vec;

use super::{ConsumerHeartbeat, Host, beating, joining, told};
use crate::group::command::GroupError;
use crate::time::Duration;

fn by_regex(member: &str, regex: &str) -> ConsumerHeartbeat {
    ConsumerHeartbeat { topics: None, regex: Some(regex.to_string()), ..joining(member, &[]) }
}

#[test]
fn topic_that_changes_raises_the_group_epoch() {
    let mut host = Host::new(1);
    let topic = host.topics.create("t", 1);
    host.join("a", &["t", "u"]).unwrap();
    host.topics.create("unrelated", 1);
    assert_eq!(host.beat("a", 1, &[(topic, 0)]).unwrap().member_epoch, 1);
    host.topics.grow("t", 1);
    let grown = host.beat("a", 1, &[(topic, 0)]).unwrap();
    assert_eq!((grown.member_epoch, told(&grown)), (2, Some(vec![(topic, 0), (topic, 1)])));
    let other = host.topics.create("u", 1);
    assert_eq!(host.beat_briefly("a", 2).unwrap().member_epoch, 3);
    host.topics.delete("t");
    let gone = host.beat("a", 3, &[(topic, 0), (topic, 1), (other, 0)]).unwrap();
    assert_eq!((gone.member_epoch, told(&gone)), (3, Some(vec![(other, 0)])));
    assert_eq!(host.beat("a", 3, &[(other, 0)]).unwrap().member_epoch, 4);
    // Under its name another topic comes.
    let again = host.topics.create("t", 1);
    assert_eq!(told(&host.beat_briefly("a", 4).unwrap()), Some(vec![(other, 0), (again, 0)]));
}

#[test]
fn regex_means_the_topics_that_are_there() {
    let mut host = Host::new(1);
    let one = host.topics.create("order-1", 1);
    host.topics.create("border-1", 1);
    host.topics.create("__consumer_offsets", 50);
    let joined = host.heartbeat(by_regex("a", "order-.*|__.*")).unwrap();
    assert_eq!((joined.member_epoch, told(&joined)), (1, Some(vec![(one, 0)])));
    assert_eq!(host.kinds(0), ["member", "regex", "group", "target", "target epoch", "current"]);
    assert!(host.group.is_subscribed("order-1") && !host.group.is_subscribed("border-1"));

    let from = host.log.len();
    host.topics.create("other", 1);
    host.beat_briefly("a", 1).unwrap();
    assert_eq!(host.kinds(from), [""; 0], "it means the same");
    let two = host.topics.create("order-2", 1);
    let beat = host.beat_briefly("a", 1).unwrap();
    assert_eq!((beat.member_epoch, told(&beat)), (2, Some(vec![(one, 0), (two, 0)])));
    assert_eq!(host.kinds(from), ["regex", "group", "target", "target epoch", "current"]);
}

#[test]
fn regex_goes_with_its_last_subscriber() {
    let mut host = Host::new(1);
    host.topics.create("t", 2);
    host.heartbeat(by_regex("a", "t.*")).unwrap();
    host.heartbeat(by_regex("b", "t.*")).unwrap();
    assert_eq!(host.group.kept.regexes.len(), 1);
    let changed = ConsumerHeartbeat { regex: Some("".to_string()), ..beating("a", 1) };
    host.heartbeat(changed).unwrap();
    assert_eq!(host.group.kept.regexes.len(), 1);
    let from = host.log.len();
    host.beat_briefly("b", -1).unwrap();
    assert_eq!(host.kinds(from), ["no current", "no target", "no member", "no regex", "group"]);
    let changed =
        ConsumerHeartbeat { regex: Some("u.*".to_string()), owned: Some(vec![]), ..beating("a", 1) };
    host.heartbeat(changed).unwrap();
    host.elapse(Duration::from_secs(45));
    assert_eq!(host.group.kept.regexes.len(), 0);
}

#[test]
fn regex_that_is_none_is_refused_with_its_reason() {
    let mut host = Host::new(1);
    let Err(GroupError::InvalidRegularExpression(why)) = host.heartbeat(by_regex("a", "t[")) else {
        panic!()
    };
    assert_eq!(why, "`t[` cannot be taken as a regular expression: unclosed character class");
    assert!(host.log.is_empty());
}

#[test]
fn names_and_regex_add_up() {
    let mut host = Host::new(1);
    let one = host.topics.create("one", 1);
    let two = host.topics.create("two", 1);
    let both = ConsumerHeartbeat { regex: Some("t.o".to_string()), ..joining("a", &["one"]) };
    assert_eq!(told(&host.heartbeat(both).unwrap()), Some(vec![(one, 0), (two, 0)]));
}

#[test]
fn most_asked_for_assignor_assigns() {
    let mut host = Host::new(1);
    let (one, two) = (host.topics.create("one", 1), host.topics.create("two", 1));
    let asking = |member: &str| ConsumerHeartbeat {
        assignor: Some("range".to_string()),
        ..joining(member, &["one", "two"])
    };
    host.heartbeat(asking("a")).unwrap();
    host.heartbeat(asking("b")).unwrap();
    assert_eq!(host.group.describe(&host.settings).assignor, "range");
    // By ranges the first member has the only partition of both topics.
    assert_eq!(told(&host.beat("a", 1, &[(one, 0), (two, 0)]).unwrap()), None);
}
