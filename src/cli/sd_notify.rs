//! Tells the service manager that started this process how far it has come (systemd's sd_notify(3)). Where there is none,
//! nothing is told.

use sd_notify::NotifyState;
use tracing::warn;

/// Requests are answered from now on; with `Type=notify`, `systemctl start` waits for this.
pub fn tell_ready() {
    tell(NotifyState::Ready);
}

/// It was asked to end, and finishes what runs.
pub fn tell_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "the service manager (NOTIFY_SOCKET) could not be told");
    }
}
