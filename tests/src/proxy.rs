//! TCP proxy between an agent and a hub that disturbs connections as networks do: it cuts, resets and stalls them at
//! chosen moments, and refuses new ones. It reads the parts of TLS that anyone on the path can read: position, type
//! and length of records. Talks to the network.

use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::records::{Lookout, Moment, Way};

/// All proxies of the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the machine has threads"));

/// End of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order, as far as TCP goes (FIN).
    Close,
    /// At once (RST).
    Reset,
    /// Stalls: no more bytes pass, and neither side is notified.
    Stall,
}

/// Planned end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Moment of the end.
    pub at: Moment,
    /// Kind of the end.
    pub end: End,
}

/// Treatment of new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Connections pass, until their fate.
    Open,
    /// Connections are refused, and those that there are are reset.
    Refusing,
    /// Connections are taken, and nothing passes.
    Silent,
}

/// A running proxy. It ends with its scope.
#[derive(Debug)]
pub struct Proxy {
    /// Address for devices.
    pub address: SocketAddr,
    door: watch::Sender<Door>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    /// Keeps the port reserved while the proxy refuses connections.
    _port: TcpSocket,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1. Each fate meets one connection, in this order; all others pass.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(hub: SocketAddr, fates: Vec<Fate>) -> Self {
        let _inside = RUNTIME.enter();
        let port = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = port.local_addr().expect("it is bound");
        let (door, watched) = watch::channel(Door::Open);
        let fates = Arc::new(Mutex::new(VecDeque::from(fates)));
        let way = Passage { hub, door: watched, fates: Arc::clone(&fates) };
        let task = RUNTIME.spawn(way.serve(address, listen(address)));
        Self { address, door, fates, _port: port, task }
    }

    /// Opens or closes it for everybody.
    pub fn set(&self, door: Door) {
        self.door.send_replace(door);
    }

    /// Returns the number of planned ends that have not happened yet.
    #[must_use]
    pub fn fates_left(&self) -> usize {
        lock(&self.fates).len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // With its connections.
        self.task.abort();
    }
}

fn lock(fates: &Mutex<VecDeque<Fate>>) -> MutexGuard<'_, VecDeque<Fate>> {
    fates.lock()
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("the process may open sockets");
    socket.set_reuseport(true).expect("Linux lets a port be shared");
    socket.bind(address).expect("the port is free, or held by this proxy");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    bind(address).listen(128).expect("the port is held by this proxy")
}

/// Context of every connection.
#[derive(Clone)]
struct Passage {
    hub: SocketAddr,
    door: watch::Receiver<Door>,
    fates: Arc<Mutex<VecDeque<Fate>>>,
}

impl Passage {
    async fn serve(mut self, address: SocketAddr, first: TcpListener) {
        let (mut listener, mut connections) = (Some(first), JoinSet::new());
        loop {
            if *self.door.borrow_and_update() == Door::Refusing {
                listener = None;
                if self.door.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let accepting = listener.get_or_insert_with(|| listen(address));
            tokio::select! {
                changed = self.door.changed() => if changed.is_err() { return },
                accepted = accepting.accept() => if let Ok((client, _)) = accepted {
                    connections.spawn(self.clone().meet(client));
                },
            }
        }
    }

    /// Handles a connection, from its acceptance to its end.
    async fn meet(mut self, mut client: TcpStream) {
        let fate = lock(&self.fates).front().copied();
        if fate.is_some_and(|fate| fate.at == Moment::Accepted) {
            return self.end(fate, client, None).await;
        }
        if *self.door.borrow_and_update() == Door::Open
            && let Ok(mut hub) = TcpStream::connect(self.hub).await
        {
            let mut lookout = Lookout::new(fate.map(|fate| fate.at));
            let met = tokio::select! {
                met = carry(&mut client, &mut hub, &mut lookout) => met,
                // Closed for everybody.
                _ = self.door.wait_for(|door| *door != Door::Open) => Met::Nothing,
            };
            match met {
                Met::Fate => return self.end(fate, client, Some(hub)).await,
                Met::End => return,
                Met::Broken => return reset(&[&client, &hub]),
                Met::Nothing => {
                    let _ = self.door.wait_for(|door| *door != Door::Silent).await;
                    return reset(&[&client, &hub]);
                }
            }
        }
        let _ = self.door.wait_for(|door| *door != Door::Silent).await;
        reset(&[&client]);
    }

    async fn end(self, fate: Option<Fate>, mut client: TcpStream, hub: Option<TcpStream>) {
        lock(&self.fates).pop_front();
        match fate.map(|fate| fate.end) {
            Some(End::Reset) => {
                reset(&[&client]);
                hub.iter().for_each(|hub| reset(&[hub]));
            }
            Some(End::Stall) => std::future::pending().await,
            Some(End::Close) | None => {
                // Whoever is gone already needs no word.
                let _ = client.shutdown().await;
                if let Some(mut hub) = hub {
                    let _ = hub.shutdown().await;
                }
            }
        }
    }
}

/// Result of forwarding.
enum Met {
    /// The fate's moment has come.
    Fate,
    /// Both sides are done.
    End,
    /// One side broke.
    Broken,
    /// The door was closed.
    Nothing,
}

/// Carries bytes until something happens.
async fn carry(client: &mut TcpStream, hub: &mut TcpStream, lookout: &mut Lookout) -> Met {
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let (mut client_done, mut hub_done) = (false, false);
    while !(client_done && hub_done) {
        let (way, read) = tokio::select! {
            read = client.read(&mut up), if !client_done => (Way::ToHub, read),
            read = hub.read(&mut down), if !hub_done => (Way::FromHub, read),
        };
        let Ok(read) = read else { return Met::Broken };
        let (to, bytes, done) = match way {
            Way::ToHub => (&mut *hub, &up[..read], &mut client_done),
            Way::FromHub => (&mut *client, &down[..read], &mut hub_done),
        };
        let passes = lookout.passes(way, bytes);
        let written = match passes {
            _ if read == 0 => to.shutdown().await,
            passes => to.write_all(&bytes[..passes.unwrap_or(read)]).await,
        };
        *done |= read == 0;
        match (passes, written) {
            (Some(_), _) => return Met::Fate,
            (None, Err(_)) => return Met::Broken,
            (None, Ok(())) => {}
        }
    }
    Met::End
}

fn reset(streams: &[&TcpStream]) {
    // Closing it is then a reset.
    streams.iter().for_each(|stream| drop(stream.set_zero_linger()));
}
