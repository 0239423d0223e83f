// The npm package eventsource, under Node. Prints each message as a line of JSON.

import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
for (const name of ["message", "hello", "change", "removal", "bookmark", "cut_off"]) {
    source.addEventListener(name, ({ type, lastEventId, data }) => {
        console.log(JSON.stringify({ event: type, id: lastEventId, data }));
    });
}
// The timer of a reconnection does not keep Node running.
setInterval(() => {}, 60_000);
