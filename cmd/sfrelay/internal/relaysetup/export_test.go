package relaysetup

// Associate makes the bus of a source.
var Associate = associate
