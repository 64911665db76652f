(ns poz.error
  "Every way in which a record, a statement or a request can fail, as one table.

  An *anomaly* is a plain map: `:poz/anomaly` the category that a caller branches on,
  `:poz/error` the keyword that names the broken rule, `:message` a sentence, and the
  facts: `:at` a byte offset, `:path` where in the value, `:rule`, `:expected`, `:found`.

  `anomaly` makes one, `fail!` throws one, `attempt` turns a thrown one back into a
  value, `anomaly?` asks. The keywords are the problem codes that other
  implementations use too: `format/truncated` is `:format/truncated`."
  (:require
   [clojure.string :as str]))

(set! *warn-on-reflection* true)

(def categories
  "What each category of failure means to a caller."
  {:malformed "the bytes are not a value of this format"
   :invalid "well formed, and a rule is broken"
   :unknown "something needed for an answer is not at hand"
   :refused "somebody entitled to refuse did"
   :conflict "it contradicts what is already held"
   :busy "later, perhaps"
   :unreachable "nobody answered"
   :usage "the request itself makes no sense"
   :fault "a defect, here or at the other side"})

(def table
  "Error keyword → `{:anomaly category, :doc what it means, :fix what to do}`."
  {:format/magic {:anomaly :malformed :doc "the first 3 bytes are not POZ" :fix "Is this a POZ record, and was it copied as binary?"}
   :format/version {:anomaly :malformed :doc "a format version that is not 0" :fix "Use a tool that knows this version."}
   :format/size {:anomaly :malformed :doc "the header's size is not the size of the file" :fix "Fetch the file again: it was cut short or added to."}
   :format/too-large {:anomaly :malformed :doc "the file is above the reader's limit" :fix "Raise :max-size if you trust the source."}
   :format/truncated {:anomaly :malformed :doc "a value runs past the end of the file, section or nested length" :fix "Fetch the file again."}
   :format/trailing {:anomaly :malformed :doc "bytes follow where a value should have ended" :fix "Remove what was appended."}
   :format/gap {:anomaly :malformed :doc "a section starts after the end of the one before" :fix "Sections lie one after another."}
   :format/overlap {:anomaly :malformed :doc "a section starts before the end of the one before" :fix "Sections lie one after another."}
   :format/section-missing {:anomaly :malformed :doc "a required section is not there" :fix "A record has a Public Key Map and a Master Zone."}
   :format/section-pair {:anomaly :malformed :doc "an authority without its zone, or the reverse" :fix "Both, or neither."}
   :format/count {:anomaly :malformed :doc "a list has more or fewer items than its rule allows" :fix "See the field's rule."}
   :format/unsorted {:anomaly :malformed :doc "a sorted list descends" :fix "Sort the items as the field's rule says."}
   :format/duplicate {:anomaly :malformed :doc "a key, a sort key or an entry's id repeats" :fix "Keep one of the two."}
   :format/length {:anomaly :malformed :doc "a string or byte string is shorter or longer than its rule allows" :fix "See the field's rule."}
   :format/range {:anomaly :malformed :doc "a number is outside its range" :fix "See the field's rule."}
   :format/code {:anomaly :malformed :doc "an unknown code in an enumerated field" :fix "See the table of codes."}
   :format/optional {:anomaly :malformed :doc "the first byte of an optional is neither 0 nor 1" :fix "0 for absent, 1 for present."}
   :format/index {:anomaly :malformed :doc "a key index beyond the Public Key Map" :fix "Add the key to the map first."}
   :format/key-use {:anomaly :malformed :doc "an X25519 key where a key must sign, or another where X25519 belongs" :fix "Cite a key of the right algorithm."}
   :format/utf8 {:anomaly :malformed :doc "a string that is not well-formed UTF-8" :fix "Encode the text as UTF-8."}
   :format/control-char {:anomaly :malformed :doc "a string with U+0000–001F or U+007F–009F" :fix "Remove the control character."}
   :format/handle {:anomaly :malformed :doc "a handle or path segment with @ / : or white space" :fix "Choose other characters."}
   :format/domain {:anomaly :malformed :doc "not a domain name in lower-case A-label form" :fix "Write an IDN as xn--…, in lower case, without a final dot."}
   :format/consistency {:anomaly :malformed :doc "fields of one statement contradict each other" :fix "See the rule."}
   :format/type {:anomaly :malformed :doc "a value of the wrong kind, which no bytes could be written for" :fix "See the schema of the value."}
   :format/text-form {:anomaly :malformed :doc "two whole text blocks, or one not written as it must be" :fix "Send one block of base64 in lines of 64."}

   :chain/draft {:anomaly :invalid :doc "current_master_hash is zero: this is a draft, not a record" :fix "Collect the signatures, then apply the draft."}
   :chain/serial {:anomaly :invalid :doc "the serial is not one more than the former revision's" :fix "Check which revision the history ends with."}
   :chain/previous-hash {:anomaly :invalid :doc "previous_master_hash is not the former revision's hash: a wrong parent" :fix "Check which revision this one was made from."}
   :chain/original-hash {:anomaly :invalid :doc "original_master_hash differs from genesis" :fix "This revision belongs to another record."}
   :chain/original-timestamp {:anomaly :invalid :doc "original_timestamp differs from genesis" :fix "This revision belongs to another record."}
   :chain/timestamp {:anomaly :invalid :doc "the timestamp is not later than the former revision's" :fix "Check the clock of the machine that made it."}
   :chain/current-hash {:anomaly :invalid :doc "current_master_hash is not the hash of the revision and the keys it cites" :fix "The revision or the key map was changed after it was made."}
   :chain/history-missing {:anomaly :unknown :doc "the chain at hand does not start at serial 1" :fix "Get the record with its complete history."}
   :survivorship/below-threshold {:anomaly :invalid :doc "no group of the master keys reaches 100 with these signers" :fix "Collect the missing signatures."}
   :signature/stray {:anomaly :invalid :doc "a signer that the rule does not name, or that cannot sign" :fix "Remove that signature."}
   :signature/bad {:anomaly :invalid :doc "a signature does not verify" :fix "Have the content signed again by that key."}
   :signature/no-such-key {:anomaly :invalid :doc "a signer's index is beyond the provider's key map" :fix "Ask the provider for a good entry."}
   :signature/spare {:anomaly :invalid :doc "the revision would be authorised without one of its signatures" :fix "Apply the draft with a tool that drops spare signatures."}
   :signature/unknown-algorithm {:anomaly :unknown :doc "a named signer's key is of an algorithm unknown here" :fix "Use a tool that knows the algorithm."}
   :time/far-future {:anomaly :unknown :doc "a statement is dated more than 24 hours ahead of the clock" :fix "Check the clock here; else wait."}

   :authority/unknown-revision {:anomaly :invalid :doc "the authority cites a revision that is not in this chain" :fix "Have the zone signed again under a present revision."}
   :authority/not-as-authorised {:anomaly :invalid :doc "the cited revision delegates other keys or values" :fix "Have the zone signed again under the delegation as it is."}
   :authority/interrupted {:anomaly :invalid :doc "a later revision delegated otherwise, though the current one is as before" :fix "Have the zone signed again under a present revision."}
   :authority/not-current {:anomaly :invalid :doc "the current revision delegates other keys or values" :fix "Have the zone signed again by the present keys."}
   :authority/history-missing {:anomaly :unknown :doc "the revision that the authority cites is not in the history at hand" :fix "Get the record with its complete history."}
   :zone/grant-below-threshold {:anomaly :invalid :doc "the signers' grant values do not reach 100" :fix "Collect the missing signatures."}
   :zone/deny-below-threshold {:anomaly :invalid :doc "the signers' deny values do not reach 100" :fix "Collect the missing signatures."}
   :zone/no-delegation {:anomaly :invalid :doc "no key is delegated for this zone" :fix "Delegate keys for it in a master revision first."}
   :zone/absent {:anomaly :unknown :doc "the record has no such zone" :fix "Grant one first."}
   :zone/no-such-entry {:anomaly :unknown :doc "the zone has no entry with that hash" :fix "List the zone's entries."}
   :zone/deny-timestamp {:anomaly :invalid :doc "the deny statement is older than its grant" :fix "Check the clock of the machine that made it."}

   :identity/revoked {:anomaly :invalid :doc "the provider denies the issue hash of this entry" :fix "Ask the provider."}
   :identity/signer-revoked {:anomaly :invalid :doc "the provider denies a key that signed this entry" :fix "Ask the provider to issue the entry again."}
   :identity/other-record {:anomaly :invalid :doc "the entry was issued to another record" :fix "Remove it."}
   :identity/below-threshold {:anomaly :invalid :doc "no revision of the provider delegates 100 to these signers" :fix "Ask the provider for a good entry."}
   :identity/no-provider-record {:anomaly :unknown :doc "the provider's record is not at hand" :fix "Give it (--with FILE)."}
   :identity/no-provider-zone {:anomaly :unknown :doc "the provider's Identity Zone is not at hand, so nobody can tell what it revoked" :fix "Get the provider's whole record."}
   :identity/provider-not-verified {:anomaly :unknown :doc "the provider's chain does not verify" :fix "Get the provider's record with its complete history."}
   :identity/provider-zone-not-valid {:anomaly :unknown :doc "the provider's Identity Zone does not hold" :fix "Ask the provider to sign its zone again."}

   :request/timestamp {:anomaly :invalid :doc "the request is dated more than 5 minutes from the provider's clock" :fix "Ask again; check the clock."}
   :request/below-threshold {:anomaly :invalid :doc "the signers' grant values in the asking record's Identity delegation do not reach 100" :fix "Collect the missing signatures."}
   :request/record {:anomaly :invalid :doc "the record that asks does not hold" :fix "See what poz verify says of it."}
   :request/not-reserved {:anomaly :conflict :doc "the handle is not reserved for this record" :fix "Request it first."}
   :request/entry-missing {:anomaly :invalid :doc "the record's Identity Zone does not hold the entry that was issued" :fix "Accept the entry, then submit."}
   :request/taken {:anomaly :conflict :doc "the handle is live or reserved for another record" :fix "Choose another handle."}
   :policy/not-a-provider {:anomaly :refused :doc "this record delegates no Identity key, so it issues nothing" :fix "Ask a provider."}
   :policy/domain {:anomaly :refused :doc "the provider does not issue under that domain" :fix "Check the address."}
   :policy/refused {:anomaly :refused :doc "the provider's policy says no" :fix "Ask the provider why."}
   :policy/former-entry-not-denied {:anomaly :refused :doc "the handle had another owner, whose entry the provider has not denied" :fix "The provider denies the former entry's issue hash first."}
   :policy/issue-denied {:anomaly :refused :doc "the provider denies this very entry" :fix "The provider takes the denial back first."}

   :wire/unsupported {:anomaly :refused :doc "a type of request that is not answered here" :fix "Ask on the port that answers it; check the version of both sides."}
   :wire/too-large {:anomaly :malformed :doc "a message is above the limit" :fix "Send less, or raise the limit if you trust the other side."}
   :wire/not-found {:anomaly :unknown :doc "nothing is held under that name" :fix "Check the name, and which server is asked."}
   :wire/work-required {:anomaly :busy :doc "the server asks for proof of work" :fix "Solve the challenge and ask again."}
   :wire/busy {:anomaly :busy :doc "too much to do at present" :fix "Wait, then ask again."}
   :wire/unreadable {:anomaly :refused :doc "the server could not read the request" :fix "Check the version of both sides, and which port was meant."}
   :wire/rejected {:anomaly :refused :doc "the server says no" :fix "See what it says; poz verify tells whether a record holds."}
   :wire/conflict {:anomaly :conflict :doc "the update does not follow what the server holds" :fix "Get the record from the server, and begin from that."}
   :wire/failed {:anomaly :fault :doc "the server has a defect" :fix "Ask another server, or its operator."}
   :wire/other-id {:anomaly :invalid :doc "the response is to another request" :fix "The server is at fault: ask another."}
   :client/no-server {:anomaly :unknown :doc "there is no server to ask" :fix "Name one."}
   :answer/other-record {:anomaly :invalid :doc "the answer is another record than the one asked for" :fix "The server is at fault or lies: ask another."}
   :answer/other-sections {:anomaly :invalid :doc "the answer has a section that does not belong there" :fix "The server is at fault: ask another."}
   :answer/no-entry {:anomaly :invalid :doc "the record has no live entry of the handle asked for" :fix "The server is at fault or lies: ask another."}
   :answer/other-provider {:anomaly :invalid :doc "the entry is by another provider than the one asked for" :fix "Check which provider has that domain; ask another server."}
   :answer/superseded {:anomaly :invalid :doc "only an earlier delegation of the provider carries the entry" :fix "Ask for the entry to be issued again, or accept :superseded."}
   :answer/other-entry {:anomaly :invalid :doc "the entry is another than the one asked for" :fix "Ask the provider."}
   :answer/other-serials {:anomaly :invalid :doc "what the server says it holds is not what was submitted" :fix "Ask the server again what it holds."}
   :mirror/incomplete {:anomaly :invalid :doc "the server says that it holds what it does not give" :fix "The server is at fault: ask another, or its operator."}
   :mirror/list {:anomaly :malformed :doc "not a list of original hashes" :fix "One a line, 64 hex digits: see poz authority list."}
   :discover/conflict {:anomaly :conflict :doc "the sources name different records" :fix "A security event: find out which of them is wrong, and trust none until then."}
   :discover/bogus {:anomaly :conflict :doc "an answer of DNS whose DNSSEC signature does not hold" :fix "A security event, or a mistake of the domain's owner: trust nothing that DNS says until it is mended."}
   :discover/policy {:anomaly :unknown :doc "fewer sources name the record than the policy asks for" :fix "Check the domain; else choose another policy (--policy)."}
   :discover/unavailable {:anomaly :unknown :doc "the domain says that it has no such service" :fix "Check the domain."}
   :discover/dns {:anomaly :unreachable :doc "DNS gives no answer" :fix "Check the domain's servers, and the resolver (--resolver)."}
   :discover/text {:anomaly :malformed :doc "a text at _poz that is not v=poz1 h=HASH" :fix "The domain's owner has to mend it."}
   :discover/https {:anomaly :unreachable :doc "the web server gives no answer" :fix "Ask again later."}
   :discover/certificate {:anomaly :invalid :doc "the web server's certificate does not hold for the domain" :fix "The domain's owner has to mend it; else somebody is in between."}
   :discover/redirect {:anomaly :refused :doc "the web server sends elsewhere than the same host" :fix "The domain's owner has to put the file there itself."}
   :discover/address {:anomaly :refused :doc "the domain has an address that is none of the public network's" :fix "Check the domain; --allow-private where that is meant."}
   :discover/too-large {:anomaly :malformed :doc "the well-known file is above the limit" :fix "The domain's owner has to mend it."}
   :discover/well-known {:anomaly :malformed :doc "the well-known file is not as it must be" :fix "The domain's owner has to mend it."}
   :pins/other-record {:anomaly :conflict :doc "another record than the one remembered under that name" :fix "A security event, unless the name has a new owner: find out, then say --forget."}
   :pins/absent {:anomaly :unknown :doc "nothing is remembered under that name" :fix "Look it up once with a network."}
   :pins/unreadable {:anomaly :unknown :doc "what is remembered cannot be read or written" :fix "Check the folder and its permissions; else bring a copy back."}
   :net/unreachable {:anomaly :unreachable :doc "no connection to the server" :fix "Check host and port, and whether it runs."}
   :net/timeout {:anomaly :unreachable :doc "no answer in time" :fix "Ask again later, or give it more time."}
   :net/closed {:anomaly :unreachable :doc "the server closed the connection without an answer" :fix "Check the server's key, and which port was meant; else ask again later."}
   :login/no-valid-zone {:anomaly :invalid :doc "the record has no Auth Zone that holds" :fix "See what poz verify says of it."}
   :login/other-site {:anomaly :invalid :doc "the login is for another site" :fix "Start again from this site's challenge."}
   :login/other-record {:anomaly :invalid :doc "the login is of another record" :fix "Use the record that logs in."}
   :login/other-challenge {:anomaly :invalid :doc "the login answers another challenge" :fix "Start again from this challenge."}
   :login/time {:anomaly :invalid :doc "the login is dated more than 5 minutes from the clock" :fix "Start again; check the clocks."}
   :login/no-such-group {:anomaly :invalid :doc "the Auth Zone has no such live group" :fix "Choose a group of the zone."}
   :login/key-revoked {:anomaly :invalid :doc "a key of the group is revoked" :fix "Use another group."}
   :login/not-all-keys {:anomaly :invalid :doc "not all keys of the group have signed, or another has" :fix "Have every key of the group sign."}

   :memory/rollback {:anomaly :conflict :doc "an older serial than was seen before" :fix "Somebody serves an old copy: ask elsewhere."}
   :memory/fork {:anomaly :conflict :doc "the same serial as was seen before, with another hash" :fix "A security event: keep both, and find out who signed twice."}
   :fork/none {:anomaly :invalid :doc "the two records do not prove a fork" :fix "They agree, or one continues the other."}
   :fork/evidence {:anomaly :malformed :doc "not evidence of a fork: it holds exactly two records in text form" :fix "Make it with poz fork."}

   :past/before {:anomaly :unknown :doc "no revision of that time or serial is at hand" :fix "Get the record with its complete history."}

   :draft/applied {:anomaly :usage :doc "this revision has been applied and is no draft any more" :fix "Begin a new draft."}
   :draft/different {:anomaly :conflict :doc "the drafts have different contents" :fix "Agree on one draft, then sign that."}
   :update/rollback {:anomaly :conflict :doc "the update is older than what is held" :fix "Somebody serves an old copy: ask elsewhere."}
   :update/fork {:anomaly :conflict :doc "the update and what is held are two revisions with one parent" :fix "A security event: compare both, and find out who signed twice."}
   :update/grant-serial {:anomaly :conflict :doc "the grant's serial is not one more than that of the zone it replaces" :fix "Begin from the zone that is held."}
   :update/previous-zone-hash {:anomaly :conflict :doc "previous_zone_hash is not the hash of the zone that is held" :fix "Begin from the zone that is held."}
   :update/deny-serial {:anomaly :conflict :doc "the deny's serial is not one more than that of the zone it replaces" :fix "Begin from the zone that is held."}
   :update/not-public {:anomaly :invalid :doc "the file has private or reserved sections" :fix "Send the public view."}
   :update/other-record {:anomaly :invalid :doc "the update belongs to another record" :fix "Check which record was meant."}
   :update/history-gap {:anomaly :invalid :doc "the update's history does not reach back to the revision that is held" :fix "Send a longer history."}
   :update/key-map {:anomaly :invalid :doc "the key map differs in keys that a statement held cites or is signed by" :fix "Keys are only ever appended."}
   :update/timestamp-ahead {:anomaly :invalid :doc "a new statement is dated more than 5 minutes ahead of the clock" :fix "Check the clock of the machine that made it."}
   :update/grant-timestamp {:anomaly :invalid :doc "the grant is not later than what it replaces" :fix "Check the clock of the machine that made it."}
   :update/deny-timestamp {:anomaly :invalid :doc "the deny is not later than the one it replaces" :fix "Check the clock of the machine that made it."}
   :update/deny-not-empty {:anomaly :invalid :doc "a new grant comes with denials" :fix "Grant first, then deny."}
   :update/deny-not-superset {:anomaly :invalid :doc "a deny drops or changes an item, or adds none" :fix "Denials are only ever added."}
   :update/removal-below-deny {:anomaly :invalid :doc "an entry goes that was not denied, and the signers' deny values do not reach 100" :fix "Deny the entry first, or collect more signatures."}
   :update/revoked-dropped {:anomaly :invalid :doc "a revocation is missing or changed, and the signers' deny values do not reach 100" :fix "Carry every revocation over."}
   :update/revoked-added {:anomaly :invalid :doc "a revocation is new, and the signers' deny values do not reach 100" :fix "Deny it instead."}

   :keyring/wrong-passphrase {:anomaly :invalid :doc "the passphrase does not open the Private Key Map, or its bytes were changed" :fix "Try another passphrase; check that the file is whole."}
   :keyring/key-mismatch {:anomaly :invalid :doc "a secret in the Private Key Map does not belong to its public key" :fix "Do not use this file to sign."}
   :keyring/absent {:anomaly :unknown :doc "the record has no Private Key Map" :fix "Use the holder's own file."}
   :keyring/plaintext {:anomaly :malformed :doc "the opened Private Key Map is not a list of secrets" :fix "Do not use this file to sign."}
   :crypto/low-order {:anomaly :invalid :doc "an X25519 agreement gave the all-zero secret" :fix "The other side's key is of low order: refuse it."}
   :noise/size {:anomaly :malformed :doc "too few or too many bytes for a Noise message" :fix "Does the other side speak Noise NK on that port?"}
   :noise/empty {:anomaly :malformed :doc "a Noise transport message with nothing in it" :fix "The other side is at fault: close the connection."}
   :noise/decrypt {:anomaly :refused :doc "a Noise message does not open" :fix "Check the server's key, and which port was meant; else somebody changed it on its way."}

   :store/lost {:anomaly :fault :doc "the database of the store cannot be read or written" :fix "Check the disk, its free space and the permissions, or the database's server; the store goes on by itself."}
   :store/busy {:anomaly :busy :doc "another process holds the database of the store" :fix "Wait, then try again."}

   :system/config {:anomaly :usage :doc "the configuration of the server makes no sense" :fix "See poz serve --help."}
   :system/keys {:anomaly :unknown :doc "the keyring file is not one that a server made" :fix "Use the server.poz of this data folder."}
   :system/keys-missing {:anomaly :unknown :doc "there is a keyring file of an authority, but not the server's own, server.poz" :fix "Bring server.poz back; or move the others away, to begin anew."}
   :system/record-missing {:anomaly :unknown :doc "the store does not hold the record that the keyring file belongs to" :fix "Was the store moved or emptied? Bring it back; do not begin anew under the same keys."}
   :system/other-role {:anomaly :usage :doc "the data folder is that of a server with another role" :fix "Give each server a folder of its own."}
   :system/listen {:anomaly :unknown :doc "a port is not to be had" :fix "Is another server running? Choose another port."}

   :file/not-found {:anomaly :unknown :doc "there is no such file" :fix "Check the path."}
   :file/exists {:anomaly :usage :doc "the file exists and is not overwritten" :fix "Choose another name, or say --force."}
   :file/unreadable {:anomaly :unknown :doc "the file cannot be read or written" :fix "Check its permissions."}
   :cli/usage {:anomaly :usage :doc "the command line is not understood" :fix "See --help."}
   :cli/entry {:anomaly :malformed :doc "not an entry of that zone, written in JSON" :fix "See poz doc for the fields of an entry."}
   :cli/passphrase {:anomaly :unknown :doc "a passphrase is needed and none was given" :fix "Use --passphrase-file, POZ_PASSPHRASE or a terminal."}
   :fault/internal {:anomaly :fault :doc "a defect in poz" :fix "Please report it with the command that shows it."}})

(defn code
  "The error keyword `k` as other implementations write it: `\"format/truncated\"`."
  ^String [k]
  (subs (str k) 1))

(defn- facts [{:keys [rule expected found path at]}]
  (let [p (when (seq path) (str/join " " (map #(if (keyword? %) (name %) (str %)) path)))]
    (str (when p (str " in " p))
         (when at (str " at offset " at))
         (when (or rule (some? expected) (some? found)) ":")
         (when rule (str " " rule))
         (when (some? expected) (str (if rule "; " " ") "expected " expected))
         (when (some? found) (str (if (or rule (some? expected)) ", " " ") "found " found)))))

(defn anomaly
  "The anomaly map for `error`, a key of `table`, with the given facts. Unless the
  facts have a `:message` they become its second half."
  ([error] (anomaly error nil))
  ([error facts-map]
   (let [{:keys [anomaly doc]} (or (table error)
                                   (throw (IllegalArgumentException. (str "No such error: " error))))]
     (merge {:poz/anomaly anomaly
             :poz/error error
             :message (str doc (facts facts-map))}
            facts-map))))

(defn anomaly?
  "True if `x` is an anomaly map."
  [x]
  (and (map? x) (not (sorted? x)) (contains? x :poz/anomaly)))

(defn fail!
  "Throws the anomaly for `error`, to be caught by `attempt`."
  ([error] (fail! error nil))
  ([error facts-map]
   (let [a (anomaly error facts-map)]
     (throw (ex-info (:message a) a)))))

(defn attempt
  "Calls the thunk `f`: its value, or the anomaly that it threw. Anything else that
  it throws is a defect and passes through."
  [f]
  (try (f)
       (catch clojure.lang.ExceptionInfo e
         (let [a (ex-data e)]
           (if (anomaly? a) a (throw e))))))

(defn fix
  "What a person can do about the anomaly or error keyword `x`."
  [x]
  (:fix (table (if (map? x) (:poz/error x) x))))
