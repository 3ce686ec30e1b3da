//! Servers that lie: nobody panics, nobody waits for ever, and nobody's memory is filled.

use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use authorization_server::Store as _;
use authorization_server::store::StoreError;
use cluster::Cluster;
use mcp_authz_postgres::{OpenError, PostgresStore, Settings};
use oauth_types::SecretDigest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::samples::*;

/// What a server says once it is asked something.
#[derive(Clone, Debug)]
enum Lie {
    Nothing,
    TheEnd,
    /// The same to each question.
    Once(Vec<u8>),
    /// The one, and then the other for ever.
    Forever(Vec<u8>, Vec<u8>),
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

/// Bytes that mean nothing, of as many kinds as there are numbers.
fn rubbish(number: u64, length: usize) -> Vec<u8> {
    let blocks =
        (0..).flat_map(|block: u64| *SecretDigest::of(&format!("{number} {block}")).as_bytes());
    blocks.take(length).collect()
}

const READY: &[u8] = b"Z\0\0\0\x05I";

/// A description of a result with one column of this type.
fn described(type_number: u32) -> Vec<u8> {
    let mut column = b"\0\x01x\0\0\0\0\0\0\0".to_vec();
    column.extend(type_number.to_be_bytes());
    column.extend(b"\xFF\xFF\xFF\xFF\xFF\xFF\0\0");
    [message(b'1', b""), message(b't', b"\0\0"), message(b'T', &column), READY.to_vec()].concat()
}

/// A row of these columns, as the answer to a statement that is prepared.
fn row(columns: &[u8]) -> Vec<u8> {
    [message(b'2', b""), message(b'D', columns), message(b'C', b"SELECT 1\0"), READY.to_vec()]
        .concat()
}

fn lies() -> Vec<Lie> {
    let head = |kind: u8, length: u32| [&[kind], length.to_be_bytes().as_slice()].concat();
    let refused = |severity: &str| {
        let text = format!("S{severity}\0V{severity}\0C40001\0Mcanary\0\0");
        [message(b'E', text.as_bytes()), READY.to_vec()].concat()
    };
    let mut lies = vec![
        Lie::Nothing,
        Lie::TheEnd,
        Lie::Once(READY.to_vec()),
        Lie::Once(READY.repeat(1000)),
        Lie::Once(message(b'E', b"")),
        Lie::Once(message(b'E', b"\xFF\xFF\0\0")),
        Lie::Once(message(b'E', b"SERROR\0")),
        // A conflict without end, and what no version says.
        Lie::Once(refused("ERROR")),
        Lie::Once(refused("WISH")),
        Lie::Once(row(b"\0\0")),
        Lie::Once(row(b"\x7F\xFF")),
        Lie::Once(row(b"\xFF\xFF\0\0\0\x01x")),
        Lie::Once(row(b"\0\x01\x7F\xFF\xFF\xFFx")),
        Lie::Once(row(b"\0\x01\x80\0\0\0")),
        Lie::Once(row(&[b"\0\x14".as_slice(), &b"\0\0\0\x01\xFF".repeat(20)].concat())),
        Lie::Once(row(&[b"\0\x0A".as_slice(), &b"\xFF\xFF\xFF\xFF".repeat(10)].concat())),
        // Types that nobody knows, and one inside of the other.
        Lie::Once(described(99_999)),
        Lie::Once(described(25)),
        Lie::Once(message(b'T', b"\xFF\xFF")),
        Lie::Once(message(b'G', b"\0\xFF\xFF")),
        Lie::Once(message(b'R', b"\0\0\0\x05salt")),
        Lie::Forever(Vec::new(), message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mx\0\0")),
        Lie::Forever(Vec::new(), message(b'S', b"a\0b\0")),
        Lie::Forever(Vec::new(), message(b'A', b"\0\0\0\x01a\0b\0")),
        Lie::Forever(message(b'2', b""), message(b'D', b"\0\x01\0\0\0\x01x")),
        Lie::Forever(message(b'2', b""), message(b'C', b"SELECT 1\0")),
        Lie::Forever(Vec::new(), message(b'1', b"")),
    ];
    for length in [0, 3, 4, 5, 1 << 20, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
        lies.push(Lie::Once(head(b'D', length)));
        lies.push(Lie::Forever(head(b'D', length), vec![0; 65_536]));
        lies.push(Lie::Forever(head(b'N', length), vec![b'S'; 65_536]));
    }
    lies.extend(
        (0..40).zip((1..).step_by(7)).map(|(number, length)| Lie::Once(rubbish(number, length))),
    );
    lies
}

async fn tell(lie: &Lie, to: &mut TcpStream) -> std::io::Result<()> {
    let mut asked = [0; 65_536];
    loop {
        match lie {
            Lie::Nothing => {}
            Lie::TheEnd => return Ok(()),
            Lie::Once(bytes) => to.write_all(bytes).await?,
            Lie::Forever(first, then) => {
                to.write_all(first).await?;
                let much = then.repeat(1 + 65_536 / then.len());
                loop {
                    to.write_all(&much).await?;
                }
            }
        }
        if to.read(&mut asked).await? == 0 {
            return Ok(());
        }
    }
}

/// Stands before a server, passes on what both say, and lies from a moment on.
struct Between {
    port: u16,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Between {
    async fn start(lie: Option<Lie>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lie = Arc::new(Mutex::new(lie));
        let told = Arc::clone(&lie);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&told)));
            }
        });
        Self { port, lie }
    }

    fn url(&self, place: &Place) -> String {
        place.url.replace(&format!(":{}/", Cluster::shared().port()), &format!(":{}/", self.port))
    }

    fn lie(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap() = lie;
    }
}

async fn pass(mut client: TcpStream, lie: Arc<Mutex<Option<Lie>>>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", Cluster::shared().port())).await?;
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let length = length?;
                let lie = lie.lock().unwrap().clone();
                if let Some(lie) = lie {
                    return tell(&lie, &mut client).await;
                }
                if length == 0 {
                    return Ok(());
                }
                server.write_all(&asked[..length]).await?;
            }
            length = server.read(&mut said) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                client.write_all(&said[..length]).await?;
            }
        }
    }
}

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
}

fn impatient() -> Settings {
    Settings::default().with_connections(2).with_timeout(Duration::from_millis(1500))
}

/// SEC-207
#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_lies_from_the_start_is_no_server() {
    run(async {
        let place = Place::new();
        let scram = b"\0\0\0\x0ASCRAM-SHA-256\0\0".as_slice();
        let endless =
            [message(b'R', scram), message(b'R', b"\0\0\0\x0Br=x,s=AAAA,i=4294967295")].concat();
        let mut lies = lies();
        lies.extend([
            Lie::Once(message(b'R', scram)),
            Lie::Once(endless),
            Lie::Once(message(b'R', b"\0\0\0\x0A\0")),
            Lie::Once(message(b'R', b"\0\0\0\x07")),
            Lie::Once(message(b'R', b"\0\0\0\0")),
            Lie::Forever(Vec::new(), message(b'R', b"\0\0\0\0")),
            Lie::Forever(message(b'R', b"\0\0\0\0"), message(b'S', b"a\0b\0")),
            Lie::Forever(message(b'R', b"\0\0\0\0"), message(b'K', b"\0\0\0\0\0\0\0\0")),
        ]);
        let before = peak();
        for lie in lies {
            let between = Between::start(Some(lie.clone())).await;
            let begin = Instant::now();
            let refused = PostgresStore::open(&between.url(&place), &impatient()).await;
            assert!(refused.is_err(), "{lie:?}");
            assert!(begin.elapsed() < Duration::from_secs(10), "{lie:?}: {:?}", begin.elapsed());
            assert!(!format!("{refused:?}").contains("cluster-password"));
        }
        assert!(peak() - before < 300, "{} MiB", peak() - before);
    });
}

/// SEC-207
#[test]
#[ignore = "needs PostgreSQL"]
fn a_lying_server_is_an_error_until_it_tells_the_truth_again() {
    run(async {
        let place = Place::new();
        let between = Between::start(None).await;
        // The tables are made by somebody with more patience.
        place.open().await.insert_code(code(1)).await.unwrap();
        let before = peak();
        for (number, lie) in (10..).zip(lies()) {
            let url = between.url(&place);
            let store = loop {
                // One statement is prepared, and others are not.
                let Ok(store) = PostgresStore::open(&url, &impatient()).await else { continue };
                let Ok(found) = store.read_code(&code(1).digest).await else { continue };
                assert!(found.is_some());
                break store;
            };
            between.lie(Some(lie.clone()));
            let begin = Instant::now();
            let read = store.read_code(&code(1).digest).await;
            let expected = [Err(StoreError::Unavailable), Err(StoreError::Corrupt)];
            assert!(expected.contains(&read), "{lie:?}: {read:?}");
            let changed = store.redeem(&code(1).digest, family(number), NOW).await;
            assert!(changed.is_err(), "{lie:?}: {changed:?}");
            assert!(store.sweep(NOW, 10).await.is_err(), "{lie:?}");
            assert!(begin.elapsed() < Duration::from_secs(15), "{lie:?}: {:?}", begin.elapsed());
            between.lie(None);
            let begin = Instant::now();
            while store.read_code(&code(1).digest).await.is_err() {
                assert!(begin.elapsed() < Duration::from_secs(15), "{lie:?}");
            }
        }
        let found = place.open().await.read_code(&code(1).digest).await.unwrap().unwrap();
        assert_eq!(found.redeemed, None);
        assert!(peak() - before < 300, "{} MiB", peak() - before);
    });
}

/// SEC-207
///
/// The driver asks what a type is, and what the types of the answer to that are, and so on: 30 seconds of that would be
/// the end of any stack.
#[test]
#[ignore = "needs PostgreSQL"]
fn types_that_nobody_knows_do_not_exhaust_the_stack() {
    run(async {
        let place = Place::new();
        let between = Between::start(None).await;
        let settings = settings().with_timeout(Duration::from_secs(30));
        let store = PostgresStore::open(&between.url(&place), &settings).await.unwrap();
        assert_eq!(store.read_code(&code(1).digest).await, Ok(None));
        between.lie(Some(Lie::Once(described(99_999))));
        let begin = Instant::now();
        assert!(store.read_family(&family_id(1)).await.is_err());
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    });
}

/// What a connection begins with, without what `options` says.
fn without_options(startup: &[u8]) -> Vec<u8> {
    let (version, rest) = startup[4..].split_at(4);
    let words: Vec<&[u8]> = rest.split(|byte| *byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in words.chunks(2).filter(|pair| pair.len() == 2 && !pair[0].is_empty()) {
        if pair[0] != b"options" {
            kept.extend([pair[0], b"\0", pair[1], b"\0"].concat());
        }
    }
    kept.push(0);
    [u32::try_from(kept.len() + 4).unwrap().to_be_bytes().as_slice(), &kept].concat()
}

/// SEC-205: no table is made.
#[test]
#[ignore = "needs PostgreSQL"]
fn a_pooler_that_drops_session_settings_is_refused() {
    run(async {
        let place = Place::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server =
                    TcpStream::connect(("127.0.0.1", Cluster::shared().port())).await.unwrap();
                let mut length = [0; 4];
                client.read_exact(&mut length).await.unwrap();
                let mut startup = length.to_vec();
                startup.resize(u32::from_be_bytes(length) as usize, 0);
                client.read_exact(&mut startup[4..]).await.unwrap();
                server.write_all(&without_options(&startup)).await.unwrap();
                tokio::spawn(async move {
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        let own = format!(":{}/", Cluster::shared().port());
        let url = place.url.replace(&own, &format!(":{port}/"));
        let refused = PostgresStore::open(&url, &settings()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Unfit(reason) if reason.contains("options")));
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'mcp_oauth')";
        assert_eq!(place.sql(tables), "0");
        // Whatever the timeouts are, they are told as they were asked for.
        for milliseconds in [20_000, 75_001, 3_600_000, 86_400_000, 100_000_000] {
            let settings = settings().with_timeout(Duration::from_millis(milliseconds));
            let store = PostgresStore::open(&place.url, &settings).await.unwrap();
            assert_eq!(store.check().await, Ok(()));
        }
    });
}
