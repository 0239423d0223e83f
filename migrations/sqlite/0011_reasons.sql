-- Why a client made a change: the header field Registry-Reason. Earlier changes have none.
ALTER TABLE changes ADD COLUMN reason TEXT;
