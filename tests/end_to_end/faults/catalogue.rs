//! All faults: what is done, to which host, for how long, and what it may cost.

use std::time::Duration;

use super::budget::Budget;

/// How long a fault that does not pass by itself lasts.
const HOLD: Duration = Duration::from_secs(8);
/// The same where everything is off: nothing goes on that could be watched.
const DARKNESS: Duration = Duration::from_secs(5);

/// Which hosts a fault is for. It is found out when the cloud is well, before the fault.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The control node that has the VIPs.
    VipNode,
    /// The control node that has not.
    OtherNode,
    /// The node of the member of the database that writes.
    WriterNode,
    /// The node that has a vote and no API.
    Witness,
    /// The first control node: of equals HAProxy prefers its APIs.
    First,
    /// Each of the hosts, one in each round.
    InTurn,
    /// All but the control node that has the VIPs: two of three votes.
    Majority,
    /// All.
    All,
}

/// What is done.
#[derive(Clone, Copy, Debug)]
pub enum Injection {
    /// Nothing: how it looks without a fault.
    Nothing,
    /// SIGKILL to a container's first process.
    Kill(&'static str, Place),
    /// The plug is pulled.
    PowerOff(Place),
    /// The cable is pulled.
    CutLink(Place),
    /// Packets are lost on a good link.
    Partition(Place),
    /// All processes stop where they are.
    Freeze(Place),
    /// No room is left on the disk.
    FillDisk(Place),
}

/// A fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it is called in the table.
    pub name: &'static str,
    /// What is done.
    pub injection: Injection,
    /// How long it lasts until it is repaired, or until the round may end.
    pub hold: Duration,
    /// Whether the member of the database that writes is on the VIP node.
    pub writer_at_vip: bool,
    /// Whether calls over the message bus are measured too.
    pub calls: bool,
    /// What it may cost, besides lost writes, of which there may be none.
    pub budgets: &'static [Budget],
}

impl Fault {
    const fn new(name: &'static str, injection: Injection, budgets: &'static [Budget]) -> Self {
        let hold = match injection {
            // The engine repairs it.
            Injection::Kill(..) => Duration::ZERO,
            Injection::PowerOff(Place::All) => DARKNESS,
            _ => HOLD,
        };
        Self { name, injection, hold, writer_at_vip: true, calls: false, budgets }
    }

    /// With the writer on the control node that has not the VIPs.
    const fn with_writer_apart(self) -> Self {
        Self { writer_at_vip: false, ..self }
    }

    /// With calls over the message bus.
    const fn with_calls(self) -> Self {
        Self { calls: true, ..self }
    }
}

const NO_OUTAGE: &[Budget] = &[Budget::Reads(0.5), Budget::Writes(0.5)];

/// All faults, in the order of the table.
pub const FAULTS: &[Fault] = &[
    Fault::new("no fault", Injection::Nothing, &[]),
    Fault::new("kill -9 of keystone-api", Injection::Kill("keystone-api", Place::First), &[Budget::NoFailedRead]),
    Fault::new("kill -9 of glance-api", Injection::Kill("glance-api", Place::First), &[Budget::NoFailedRead]),
    Fault::new("kill -9 of placement-api", Injection::Kill("placement-api", Place::First), &[Budget::NoFailedRead]),
    Fault::new(
        "kill -9 of HAProxy on the VIP node",
        Injection::Kill("haproxy-proxy", Place::VipNode),
        &[Budget::Reads(1.0), Budget::Writes(1.0)],
    ),
    Fault::new("kill -9 of keepalived on the VIP node", Injection::Kill("keepalived-vip", Place::VipNode), &[]),
    Fault::new(
        "kill -9 of the Galera writer",
        Injection::Kill("mariadb-server", Place::WriterNode),
        &[Budget::Reads(3.0), Budget::Writes(3.0)],
    ),
    Fault::new("kill -9 of one RabbitMQ", Injection::Kill("rabbitmq-server", Place::InTurn), &[Budget::Calls(2.0)])
        .with_calls(),
    Fault::new("power-off of the node of one RabbitMQ", Injection::PowerOff(Place::InTurn), &[Budget::Calls(10.0)])
        .with_calls(),
    Fault::new(
        "power-off of the VIP node",
        Injection::PowerOff(Place::VipNode),
        &[Budget::Reads(1.5), Budget::Writes(4.0)],
    ),
    Fault::new("power-off of the other node", Injection::PowerOff(Place::OtherNode), NO_OUTAGE),
    Fault::new(
        "power-off of the other node with the writer",
        Injection::PowerOff(Place::OtherNode),
        &[Budget::Reads(3.0), Budget::Writes(3.0)],
    )
    .with_writer_apart(),
    Fault::new("power-off of the witness", Injection::PowerOff(Place::Witness), NO_OUTAGE),
    Fault::new("link cut of the VIP node", Injection::CutLink(Place::VipNode), &[Budget::NoSplit]),
    Fault::new(
        "silent partition of the VIP node",
        Injection::Partition(Place::VipNode),
        &[Budget::NoSplit, Budget::Reads(5.0), Budget::Writes(5.0)],
    ),
    Fault::new("freeze of the VIP node", Injection::Freeze(Place::VipNode), &[]),
    Fault::new("disk full on the writer's node", Injection::FillDisk(Place::WriterNode), &[]),
    Fault::new(
        "power-off of the other node and the witness",
        Injection::PowerOff(Place::Majority),
        &[Budget::HealthyAfterRepair(60.0)],
    ),
    Fault::new("power-off of all three", Injection::PowerOff(Place::All), &[Budget::HealthyAfterRepair(60.0)]),
];
