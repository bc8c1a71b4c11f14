use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Books, Connection, Inbox, Outcome, Stuck};
use crate::buf::{Pool, Slice};
use crate::limits::{
    CONNECTION_REQUESTS_MAX, CONNECTION_SEND_BYTES_MAX, FRAME_STALL_MAX, RECEIVE_PAGE_BYTES_MAX,
    RECEIVE_PAGE_BYTES_MIN, REQUEST_BYTES_MAX, SEND_BYTES_MAX,
};
use crate::prng::Prng;
use crate::time::{Duration, Instant};

const NOW: Instant = Instant::from_nanos(7);
const LOCAL: SocketAddr = SocketAddr::new(PEER, 9092);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = i32::try_from(body.len()).expect("a small body").to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// Feeds `bytes` in reads of at most `read_max` and collects the bodies of all whole frames.
fn feed(inbox: &mut Inbox, pool: &mut Pool, mut bytes: &[u8], read_max: usize) -> Result<Vec<Slice>, Stuck> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (mut page, at) =
            inbox.lend(NOW, usize::MAX, pool).expect("memory").expect("all frames were taken");
        let at = at as usize;
        let len = bytes.len().min(read_max).min(page.len() - at);
        page.as_mut_slice()[at..at + len].copy_from_slice(&bytes[..len]);
        bytes = &bytes[len..];
        inbox.on_received(NOW, page, len);
        loop {
            match inbox.next_frame(pool) {
                Ok(body) => frames.push(body),
                Err(Stuck::Incomplete) => break,
                Err(stuck) => return Err(stuck),
            }
        }
    }
    Ok(frames)
}

#[test]
fn frames_come_whole_whatever_the_reads_are() {
    let bodies: Vec<Vec<u8>> = vec![vec![1], vec![], vec![2; 700], vec![3; 5000], vec![4; 3]];
    let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
    let mut pool = Pool::new(1 << 20);
    for read_max in 1..stream.len() {
        let mut inbox = Inbox::new(NOW);
        let frames = feed(&mut inbox, &mut pool, &stream, read_max).expect("all lengths are good");
        assert_eq!(
            frames.iter().map(|slice| slice.to_vec()).collect::<Vec<_>>(),
            bodies,
            "reads of {read_max}"
        );
        let mut pages = Vec::new();
        inbox.clear(&mut pages);
        pages.into_iter().for_each(|page| pool.give_back(page));
        drop(frames);
        assert_eq!(pool.bytes_in_use(), 0, "reads of {read_max}");
    }
}

#[test]
fn a_bad_length_is_met_after_the_frames_before_it() {
    for bad in [-1, i32::MIN, i32::try_from(REQUEST_BYTES_MAX).expect("fits") + 1, i32::MAX] {
        let mut stream = frame(b"good");
        stream.extend(bad.to_be_bytes());
        let mut inbox = Inbox::new(NOW);
        let mut pool = Pool::new(1 << 20);
        let (mut page, _) = inbox.lend(NOW, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
        page.as_mut_slice()[..stream.len()].copy_from_slice(&stream);
        inbox.on_received(NOW, page, stream.len());
        assert_eq!(inbox.next_frame(&mut pool).expect("whole").as_slice(), b"good");
        assert_eq!(inbox.next_frame(&mut pool), Err(Stuck::FrameLength), "{bad}");
    }
}

#[test]
fn memory_follows_the_bytes_that_came() {
    let mut pool = Pool::new(512 << 20);
    let mut inbox = Inbox::new(NOW);
    let announced = i32::try_from(REQUEST_BYTES_MAX).expect("fits").to_be_bytes();
    let stream = [announced.to_vec(), vec![9; 300_000]].concat();
    let mut seen = 0;
    for chunk in stream.chunks(1_000) {
        assert_eq!(feed(&mut inbox, &mut pool, chunk, 1_000).expect("good"), Vec::<Slice>::new());
        seen += chunk.len();
        let held = pool.bytes_in_use();
        assert!(held <= (2 * seen).max(1024), "{held} bytes held for {seen} received");
    }
}

#[test]
fn the_next_page_follows_recent_frames_and_shrinks_again() {
    let mut pool = Pool::new(1 << 30);
    let mut inbox = Inbox::new(NOW);
    let large = frame(&vec![1; 200_000]);
    feed(&mut inbox, &mut pool, &large, usize::MAX).expect("good");
    let next = |inbox: &mut Inbox, pool: &mut Pool| {
        let (mut page, at) = inbox.lend(NOW, usize::MAX, pool).expect("memory").expect("nothing is lent");
        let len = page.len();
        let small = frame(b"ping");
        page.as_mut_slice()[at as usize..at as usize + small.len()].copy_from_slice(&small);
        inbox.on_received(NOW, page, small.len());
        inbox.next_frame(pool).expect("a whole frame");
        len
    };
    assert_eq!(next(&mut inbox, &mut pool), RECEIVE_PAGE_BYTES_MAX);
    let lens: Vec<usize> = (0..12).map(|_| next(&mut inbox, &mut pool)).collect();
    assert_eq!(lens, [131_072, 65_536, 32_768, 16_384, 8_192, 4_096, 2_048, 1_024, 512, 256, 128, 128]);
}

#[test]
fn an_incomplete_frame_stalls_and_a_whole_one_does_not() {
    let mut pool = Pool::new(1 << 20);
    let mut inbox = Inbox::new(NOW);
    assert_eq!(inbox.stalls_at(), None, "silence is no stall");
    feed(&mut inbox, &mut pool, &frame(b"abc")[..5], 5).expect("good");
    assert_eq!(inbox.stalls_at(), None, "nothing is asked of the peer");
    let later = NOW + FRAME_STALL_MAX;
    let (mut page, at) = inbox.lend(later, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
    assert_eq!(inbox.stalls_at(), Some(later + FRAME_STALL_MAX));
    page.as_mut_slice()[at as usize..at as usize + 2].copy_from_slice(b"bc");
    inbox.on_received(later, page, 2);
    assert_eq!(inbox.next_frame(&mut pool).expect("whole").as_slice(), b"abc");
    assert_eq!(inbox.stalls_at(), None);
}

#[test]
fn a_frame_that_drips_stalls_however_long_it_is_kept_alive() {
    let mut pool = Pool::new(1 << 20);
    let mut inbox = Inbox::new(NOW);
    let drip = |inbox: &mut Inbox, pool: &mut Pool, now, bytes: &[u8]| {
        let (mut page, at) = inbox.lend(now, usize::MAX, pool).expect("memory").expect("nothing is lent");
        page.as_mut_slice()[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        inbox.on_received(now, page, bytes.len());
        assert!(matches!(inbox.next_frame(pool), Err(Stuck::Incomplete)));
    };
    drip(&mut inbox, &mut pool, NOW, &frame(&[0; 100])[..4]);
    for second in 1..30 {
        let now = NOW + Duration::from_secs(second);
        let (page, _) = inbox.lend(now, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
        assert_eq!(inbox.stalls_at(), Some(now + FRAME_STALL_MAX), "it was not asked for more meanwhile");
        inbox.on_received(now, page, 1);
    }
    let mut inbox = Inbox::new(NOW);
    drip(&mut inbox, &mut pool, NOW, &frame(&[0; 100])[..4]);
    let (page, _) = inbox.lend(NOW, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
    let now = NOW + Duration::from_secs(29);
    inbox.on_received(now, page, 1);
    let _page = inbox.lend(now, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
    assert_eq!(inbox.stalls_at(), Some(NOW + FRAME_STALL_MAX), "one byte does not buy more time");
}

#[test]
fn without_memory_nothing_is_lost() {
    let mut pool = Pool::new(4096);
    let hoard: Vec<_> = core::iter::from_fn(|| pool.alloc(RECEIVE_PAGE_BYTES_MIN)).collect();
    let mut inbox = Inbox::new(NOW);
    assert!(matches!(inbox.lend(NOW, usize::MAX, &mut pool), Err(Stuck::NoMemory)));
    hoard.into_iter().for_each(|page| pool.give_back(page));
    let stream = [frame(b"one"), frame(&[5; 600])[..9].to_vec()].concat();
    let (mut page, _) = inbox.lend(NOW, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
    page.as_mut_slice()[..stream.len()].copy_from_slice(&stream);
    inbox.on_received(NOW, page, stream.len());
    let hoard: Vec<_> = core::iter::from_fn(|| pool.alloc(RECEIVE_PAGE_BYTES_MIN)).collect();
    let large = pool.alloc_large(5000).expect("there is one");
    assert_eq!(
        inbox.next_frame(&mut pool),
        Err(Stuck::NoMemory),
        "the rest of the page needs one of its own"
    );
    pool.give_back(large);
    hoard.into_iter().for_each(|page| pool.give_back(page));
    assert_eq!(inbox.next_frame(&mut pool).expect("whole").as_slice(), b"one");
    let rest = feed(&mut inbox, &mut pool, &frame(&[5; 600])[9..], 100).expect("good");
    assert_eq!(rest[0].as_slice(), [5; 600]);
}

/// Gives what is left of the stream to the page that is lent; whether any of it was taken.
fn pour(inbox: &mut Inbox, pool: &mut Pool, stream: &[u8], sent: &mut usize) -> bool {
    let Ok(Some((mut page, at))) = inbox.lend(NOW, usize::MAX, pool) else { return false };
    let at = at as usize;
    let len = (stream.len() - *sent).min(page.len() - at).min(3_000);
    assert!(len > 0, "a page beyond the pool ends with its frame");
    page.as_mut_slice()[at..at + len].copy_from_slice(&stream[*sent..*sent + len]);
    *sent += len;
    inbox.on_received(NOW, page, len);
    true
}

#[test]
fn large_frames_that_hold_all_pages_end_one_after_the_other() {
    let mut pool = Pool::new(64 << 10);
    let streams: Vec<Vec<u8>> = (0..5).map(|n| [frame(&[n; 90_000]), frame(&[n; 10])].concat()).collect();
    let mut inboxes: Vec<(Inbox, usize, usize)> = streams.iter().map(|_| (Inbox::new(NOW), 0, 0)).collect();
    for _ in 0..1_000 {
        for ((inbox, sent, frames), stream) in inboxes.iter_mut().zip(&streams) {
            if *sent == stream.len() || !pour(inbox, &mut pool, stream, sent) {
                continue;
            }
            while let Ok(body) = inbox.next_frame(&mut pool) {
                assert_eq!(body.len(), [90_000, 10][*frames]);
                *frames += 1;
            }
            assert!(pool.bytes_in_use() <= (64 << 10) + 90_004, "the pool and one frame");
        }
    }
    assert!(inboxes.iter().all(|(_, _, frames)| *frames == 2), "none waits for ever");
}

#[test]
fn a_bad_length_is_refused_where_memory_is_short_too() {
    for bad in [-1, i32::MIN, i32::MAX] {
        let mut pool = Pool::new(4096);
        let mut inbox = Inbox::new(NOW);
        let stream = [frame(b"good"), bad.to_be_bytes().to_vec(), vec![7; 100]].concat();
        let (mut page, _) = inbox.lend(NOW, usize::MAX, &mut pool).expect("memory").expect("nothing is lent");
        page.as_mut_slice()[..stream.len()].copy_from_slice(&stream);
        inbox.on_received(NOW, page, stream.len());
        let _hoard: Vec<_> = core::iter::from_fn(|| pool.alloc(RECEIVE_PAGE_BYTES_MIN)).collect();
        assert_eq!(inbox.next_frame(&mut pool).expect("whole").as_slice(), b"good");
        assert_eq!(inbox.next_frame(&mut pool), Err(Stuck::FrameLength), "{bad}");
    }
}

fn outcome(parts: Vec<Slice>) -> Outcome {
    Outcome { key: 3, version: 12, error: 0, parts }
}

#[test]
fn answers_go_out_in_the_order_of_requests() {
    let mut prng = Prng::new(3);
    for _ in 0..200 {
        let (mut connection, mut books) = (Connection::new(NOW, LOCAL, PEER), Books::default());
        let count = 1 + prng.below(20);
        let mut places: Vec<_> = (0..count).map(|n| (n, connection.take_place(0, &mut books))).collect();
        let mut sent = Vec::new();
        while !places.is_empty() {
            let pick = usize::try_from(prng.below(places.len() as u64)).expect("fits");
            let (n, place) = places.swap_remove(pick);
            // Every fifth request has no response.
            let byte = u8::try_from(n).expect("small");
            let parts = if n % 5 == 4 { Vec::new() } else { vec![Slice::from_vec(vec![byte])] };
            connection.answer(place, outcome(parts));
            sent.extend(
                connection.flush(NOW, &mut books, |_| {}).iter().flatten().map(|slice| u64::from(slice[0])),
            );
        }
        assert_eq!(sent, (0..count).filter(|n| n % 5 != 4).collect::<Vec<_>>());
    }
}

#[test]
fn limits_leave_no_room() {
    let (mut connection, mut books) = (Connection::new(NOW, LOCAL, PEER), Books::default());
    let places: Vec<_> = (0..CONNECTION_REQUESTS_MAX).map(|_| connection.take_place(0, &mut books)).collect();
    assert!(!connection.has_room(), "as many requests as may be");
    connection.answer(places[0], outcome(vec![Slice::from_vec(vec![0; CONNECTION_SEND_BYTES_MAX])]));
    assert!(!connection.flush(NOW, &mut books, |_| {}).is_empty());
    assert!(!connection.has_room(), "as many bytes as may wait");
    let sends = CONNECTION_SEND_BYTES_MAX.div_ceil(SEND_BYTES_MAX);
    let pinned: usize = (0..sends).map(|_| connection.on_sent(NOW, &mut books)).sum();
    assert_eq!(
        (pinned, connection.unsent_pinned_bytes()),
        (sends * CONNECTION_SEND_BYTES_MAX, 0),
        "a page for each"
    );
    assert!(connection.has_room());
    connection.answer(places[2], outcome(vec![Slice::from_vec(vec![0; CONNECTION_SEND_BYTES_MAX])]));
    assert!(connection.flush(NOW, &mut books, |_| {}).is_empty(), "the answer before it is not there");
    assert!(!connection.has_room(), "what waits for its turn counts too");
}

#[test]
fn answers_go_out_in_sends_that_are_bounded() {
    let (mut connection, mut books) = (Connection::new(NOW, LOCAL, PEER), Books::default());
    let (first, second) = (connection.take_place(0, &mut books), connection.take_place(0, &mut books));
    let page =
        Slice::from_vec((0..3 * SEND_BYTES_MAX).map(|at| u8::try_from(at % 251).expect("small")).collect());
    let parts =
        vec![Slice::from_vec(vec![1; 10]), page.cut(0, SEND_BYTES_MAX), page.cut(SEND_BYTES_MAX, page.len())];
    let wanted: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).chain([7]).collect();
    connection.answer(first, outcome(parts));
    connection.answer(second, outcome(vec![Slice::from_vec(vec![7])]));
    let sends = connection.flush(NOW, &mut books, |_| {});
    let lens: Vec<usize> = sends.iter().map(|parts| parts.iter().map(|part| part.len()).sum()).collect();
    assert_eq!(lens, [SEND_BYTES_MAX, SEND_BYTES_MAX, SEND_BYTES_MAX, 11]);
    let sent: Vec<u8> = sends.iter().flatten().flat_map(|part| part.to_vec()).collect();
    assert!(sent == wanted, "every byte once, in order");
    // Parts of one page in a row pin it once for each send.
    assert_eq!(connection.unsent_pinned_bytes(), 10 + 4 * page.len() + 1);
}
