//! The table of connections: found by slot, told apart by generation, gone through in the order of their slots. Knows nothing of what
//! a connection is doing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::ConnId;
use crate::shard::connection::Connection;

/// The driver counts slots up from zero and uses them again, so that the table is as long as there ever were connections at once.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<Option<Box<(ConnId, Connection)>>>,
    len: usize,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Panics where the slot is taken: its last connection has not ended.
    pub(super) fn insert(&mut self, conn: ConnId, connection: Connection) {
        let slot = index(conn);
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        assert!(self.slots[slot].is_none(), "the driver names each connection once");
        self.slots[slot] = Some(Box::new((conn, connection)));
        self.len += 1;
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        let (id, connection) = &**self.slots.get(index(conn))?.as_ref()?;
        (*id == conn).then_some(connection)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let (id, connection) = &mut **self.slots.get_mut(index(conn))?.as_mut()?;
        (*id == conn).then_some(connection)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        self.get(conn)?;
        self.len -= 1;
        self.slots[index(conn)].take().map(|entry| entry.1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        self.slots.iter().flatten().map(|entry| (entry.0, &entry.1))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> {
        self.iter().map(|(conn, _)| conn)
    }
}

fn index(conn: ConnId) -> usize {
    usize::try_from(conn.slot).expect("32 bits fit a usize")
}
