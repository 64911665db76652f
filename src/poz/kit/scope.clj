(ns poz.kit.scope
  "Which errors the conformance vectors are about: all of `poz.error` but those that no bytes
  given to another implementation can cause, each with the reason, as data."
  (:require
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(def reasons
  "Why an error has no vector."
  {:no-bytes "a value that no bytes could be written for: an encoder's business"
   :own-limit "each reader has its own limit, so no file is too large for all"
   :making "said while something is made, not while it is checked"
   :server "what a server holds and its policy decide, not the bytes alone"
   :answering "an answer of a server, told by its status"
   :client "what a client asked for and what came back, beyond one exchange"
   :connection "the connection between two machines"
   :discovery "what DNS and the web say of a domain, and how they are asked"
   :memory "what somebody remembers, and what another server gives"
   :sealed "only whoever knows the passphrase can make such a section"
   :handshake "takes part in a Noise handshake, which is no single question"
   :machine "this machine, its files and its command line"
   :time-travel "a question about the past, put to a whole history"})

(def ^:private by-error
  {:format/type :no-bytes
   :format/too-large :own-limit
   :zone/no-delegation :making :zone/absent :making :zone/no-such-entry :making
   :draft/applied :making :draft/different :making
   :request/not-reserved :server :request/entry-missing :server :request/taken :server
   :policy/not-a-provider :server :policy/domain :server :policy/refused :server
   :policy/former-entry-not-denied :server :policy/issue-denied :server
   :wire/not-found :answering :wire/work-required :answering :wire/busy :answering :wire/unreadable :answering
   :wire/rejected :answering :wire/conflict :answering :wire/failed :answering
   :wire/other-id :client :client/no-server :client
   :keyring/plaintext :sealed
   :crypto/low-order :handshake
   :past/before :time-travel})

(def ^:private by-namespace
  {"answer" :client "net" :connection "noise" :handshake "store" :machine "system" :machine
   "discover" :discovery "mirror" :memory "pins" :memory
   "file" :machine "cli" :machine "fault" :machine})

(defn reason
  "Why the error keyword `error` has no vector, a key of `reasons`; nil where it must have one."
  [error]
  (or (by-error error) (by-namespace (namespace error))))

(def errors
  "The error keywords that must have a vector."
  (into (sorted-set) (remove reason) (keys error/table)))
