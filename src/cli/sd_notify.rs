//! Notifies the service manager that started this process of its progress (systemd's sd_notify(3)). Without a service
//! manager, it does nothing.

use sd_notify::NotifyState;
use tracing::warn;

/// Notifies that the service is ready; with `Type=notify`, `systemctl start` waits for this.
pub fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Notifies that the service is stopping, and finishes running requests.
pub fn tell_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "cannot notify the service manager (NOTIFY_SOCKET)");
    }
}
