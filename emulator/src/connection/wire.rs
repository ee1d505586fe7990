//! Packets over a stream: reads them one by one, and collects answers until there is nothing more to read. Talks to
//! the network.

use std::collections::VecDeque;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::connection::close_reason::CloseReason;
use crate::mqtt::frame::{self, MAX_CONNECT, MAX_REMAINING};
use crate::mqtt::packet;

/// Size of a read buffer; every idle connection keeps one.
const READ: usize = 4 * 1024;

/// A device's stream with what was read ahead and what waits to be written.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    input: BytesMut,
    /// The largest packet that may come now.
    limit: usize,
    /// Answers; they leave with the next [`Wire::fill`].
    pub output: BytesMut,
    /// Answers that leave later, the next one first.
    held: VecDeque<(Instant, BytesMut)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Creates a wire with nothing read and nothing to write.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            limit: MAX_CONNECT,
            output: BytesMut::new(),
            held: VecDeque::new(),
        }
    }

    /// Raises the limit of packets to that of a hub, because the client is admitted.
    pub fn admit(&mut self) {
        self.limit = MAX_REMAINING;
    }

    /// Returns the next packet of those that were read already, if there is a whole one.
    ///
    /// # Errors
    /// [`CloseReason::Malformed`].
    pub fn packet(&mut self) -> Result<Option<packet::Packet>, CloseReason> {
        let frame = frame::next(&mut self.input, self.limit)
            .map_err(|error| CloseReason::Malformed(error.to_string()))?;
        frame.map(|frame| packet::read(&frame).map_err(CloseReason::from)).transpose()
    }

    /// Holds the answers in `output` from the byte `start` back until `due`, if there is such a time. Answers that are
    /// due stay in `output` unless earlier ones are held: these leave first. Answers that are held when the connection
    /// ends are lost.
    pub fn hold(&mut self, start: usize, due: Option<Instant>) {
        let Some(due) = due else { return };
        let place = self.held.partition_point(|(other, _)| *other <= due);
        if place == 0 && due <= Instant::now() {
            return;
        }
        self.held.insert(place, (due, self.output.split_off(start)));
    }

    /// Writes what waits and reads more. Safe to be dropped half way.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] when the device is gone.
    pub async fn fill(&mut self) -> Result<(), CloseReason> {
        while let Some((due, _)) = self.held.front() {
            let due = *due;
            self.flush().await?;
            tokio::select! {
                biased;
                () = sleep_until(due) => {
                    if let Some((_, answers)) = self.held.pop_front() {
                        self.output.unsplit(answers);
                    }
                }
                read = self.read() => return read,
            }
        }
        self.flush().await?;
        self.read().await
    }

    async fn read(&mut self) -> Result<(), CloseReason> {
        if self.input.is_empty() && self.input.capacity() > 16 * READ {
            // A large message came through; give its room back.
            self.input = BytesMut::new();
        }
        self.input.reserve(READ);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(without_disconnect()),
            Ok(_) => Ok(()),
            // Without TLS's close_notify.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(without_disconnect()),
            Err(error) => Err(CloseReason::Gone(error.to_string())),
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] when the device is gone.
    pub async fn flush(&mut self) -> Result<(), CloseReason> {
        if self.output.is_empty() {
            return Ok(());
        }
        let gone = |error: std::io::Error| CloseReason::Gone(error.to_string());
        self.stream.write_all_buf(&mut self.output).await.map_err(gone)?;
        self.stream.flush().await.map_err(gone)
    }

    /// Sends a close_notify of TLS, if the device still reads.
    pub async fn shutdown(&mut self) {
        // The device may have closed the connection already.
        let _ = self.stream.shutdown().await;
    }
}

fn without_disconnect() -> CloseReason {
    CloseReason::Gone("it closed the connection without DISCONNECT".to_owned())
}
