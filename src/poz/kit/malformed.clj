(ns poz.kit.malformed
  "Vectors of files that no decoder may take: rows `[id error base edits what & options]`, as
  `poz.kit.vectors` reads them. Each breaks one rule of the format, and is signed anew over
  the bad content, so that a decoder that lets it pass finds that it holds."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private host [:service-zone :grant :body 0 :hosts 0])
(def ^:private chain [:feed-zone :grant :body 0 :chains 0])
(def ^:private entry [:identity-zone :grant :body 0])
(def ^:private email [:email-zone :grant :body 0])
(def ^:private group [:auth-zone :grant :body :groups 0])
(def ^:private year-10000 253402300800000)

(def container
  "The file around the sections."
  [["magic" :format/magic :solo [[:put [:header :magic] "504f5b"]] "the first bytes are not POZ"]
   ["version" :format/version :solo [[:int [:header :version] 1]] "version 1"]
   ["size-above" :format/size :solo [[:add [:header :size] 1]] "the header's size is one more than the file's"]
   ["size-below" :format/size :solo [[:add [:header :size] -1]] "the header's size is one less than the file's"]
   ["toc-empty" :format/count :solo [[:int [:toc :count] 0]] "a table of contents without an entry"]
   ["toc-65" :format/count :solo [[:int [:toc :count] 65]] "a table of contents with 65 entries"]
   ["toc-descends" :format/unsorted :house [[:swap [:toc 2]]] "two entries of the table of contents changed"]
   ["toc-repeats" :format/duplicate :house [[:twice [:toc 2]]] "an entry of the table of contents twice"]
   ["gap" :format/gap :solo [[:add [:toc 1 :offset] 1]] "a section that starts a byte after the end of the former"]
   ["overlap" :format/overlap :solo [[:add [:toc 1 :offset] -1]] "a section that starts a byte before the end of the former"]
   ["first-offset" :format/overlap :solo [[:add [:toc 0 :offset] -1]] "the first section starts inside the table of contents"]
   ["section-beyond" :format/truncated :solo [[:add [:toc 1 :length] 1]] "a section that ends after the file"]
   ["bytes-after" :format/trailing :solo [[:append [:master-zone] "00"]] "a byte after the last section"]
   ["no-key-map" :format/section-missing :solo [[:drop [:public-key-map]]] "no Public Key Map"]
   ["no-master-zone" :format/section-missing :solo [[:drop [:master-zone]]] "no Master Zone"]
   ["no-zone" :format/section-pair :house [[:drop [:service-zone]]] "an authority without its zone"]
   ["no-authority" :format/section-pair :house [[:drop [:email-authority]]] "a zone without its authority"]])

(def fields
  "The fields of the sections."
  [["section-short" :format/truncated :solo [[:drop [:master-zone :signatures]]] "a Master Zone without its last field"]
   ["section-long" :format/trailing :solo [[:append [:master-zone :signatures] "00"]] "a byte after the last field of a section"]
   ["history-item-long" :format/trailing :house [[:append [:zone-history 0 :content :signatures] "00"]] "a byte after a revision in the history"]
   ["count-beyond" :format/truncated :house [[:int [:service-zone :deny :signatures :count] 9]] "a count that promises more than there is" {:varies true}]
   ["no-keys" :format/count :solo [[:int [:public-key-map :count] 0]] "a map without a key" {:varies true}]
   ["no-master-keys" :format/count :solo [[:drop [:master-zone :master-keys 0]]] "no master key"]
   ["no-hosts" :format/count :house [[:drop host]] "a service without a host"]
   ["group-of-1" :format/count :house [[:drop (conj group :keys 0)]] "a login group of one key"]
   ["no-chains" :format/count :house [[:drop chain]] "a feed without a chain"]
   ["keys-repeat" :format/duplicate :solo [[:twice [:public-key-map 0]]] "a key twice in the map"]
   ["master-keys-descend" :format/unsorted :house [[:swap [:master-zone :master-keys 0]]] "two master keys changed"]
   ["master-keys-repeat" :format/duplicate :house [[:twice [:master-zone :master-keys 0]]] "a master key twice in its group"]
   ["delegations-descend" :format/unsorted :house [[:swap [:master-zone :delegations 0]]] "two delegations changed"]
   ["delegations-repeat" :format/duplicate :house [[:twice [:master-zone :delegations 0]]] "a delegation twice"]
   ["authority-keys-descend" :format/unsorted :house [[:swap [:feed-authority :keys 0]]] "two keys of an authority changed"]
   ["signatures-descend" :format/unsorted :house [[:swap [:master-zone :signatures 0]]] "two signatures changed"]
   ["signatures-repeat" :format/duplicate :house [[:twice [:master-zone :signatures 0]]] "a signature twice"]
   ["entries-descend" :format/unsorted :house [[:swap [:service-zone :grant :body 0]]] "two entries of a body changed"]
   ["entry-id-repeats" :format/duplicate :house [[:twice entry] [:flip (conj [:identity-zone :grant :body 1] :authority-domain :content) 1]]
    "two entries with one id" {:varies true}]
   ["group-keys-descend" :format/unsorted :house [[:reverse (conj group :keys)]] "the keys of a login group descend"]
   ["checkpoints-descend" :format/unsorted :house [[:swap (conj chain :checkpoints 0)]] "two checkpoints changed"]
   ["denials-repeat" :format/duplicate :house [[:twice [:service-zone :deny :denied 0]]] "a denial twice"]
   ["name-empty" :format/length :house [[:utf8 (conj email :name) ""]] "an empty name"]
   ["name-256" :format/length :house [[:utf8 (conj email :name) (str/join (repeat 256 "n"))]] "a name of 256 bytes"]
   ["key-31" :format/length :house [[:put [:public-key-map 3 :key :content] (str/join (repeat 31 "aa"))]] "an Ed25519 key of 31 bytes"]
   ["handle-empty" :format/length :house [[:utf8 (conj entry :user-handle) ""]] "an empty handle"]
   ["serial-0" :format/range :solo [[:int [:master-zone :serial] 0]] "serial 0"]
   ["value-0" :format/range :house [[:int [:master-zone :master-keys 0 :value] 0]] "a master key of value 0"]
   ["value-101" :format/range :house [[:int [:master-zone :master-keys 0 :value] 101]] "a master key of value 101"]
   ["share-101" :format/range :house [[:int [:master-zone :delegations 0 :grant] 101]] "a delegation of grant value 101"]
   ["share-nothing" :format/range :house [[:int [:master-zone :delegations 3 :deny] 0]] "a delegation of grant 0 and deny 0"]
   ["time-10000" :format/range :house [[:int [:feed-zone :grant :timestamp] year-10000]] "a time in the year 10000"]
   ["port-0" :format/range :house [[:int (conj host :port) 0]] "port 0"]
   ["reason-5" :format/range :house [[:int [:service-zone :deny :denied 0 :reason] 5]] "a denial with reason 5"]
   ["grant-serial-0" :format/range :house [[:int [:feed-zone :grant :serial] 0]] "a grant of serial 0" {:varies true}]
   ["delegation-authority" :format/code :house [[:int [:master-zone :delegations 9 :authority] 0x60]] "a delegation for no zone"]
   ["service-type" :format/code :house [[:int [:service-zone :grant :body 1 :type] 77]] "a service of unknown type"]
   ["transport" :format/code :house [[:int (conj host :transport) 0]] "an unknown transport"]
   ["encryption" :format/code :house [[:int (conj host :encryption) 9]] "an unknown encryption"]
   ["checkpoint-type" :format/code :house [[:int (conj chain :checkpoints 0 :type) 4]] "an unknown checkpoint type"]
   ["identity-type" :format/code :house [[:int (conj entry :identity-type) 2]] "an unknown identity type" {:varies true}]
   ["optional-2" :format/optional :house [[:int (conj host :public-key :present) 2]] "an optional that begins with 2"]
   ["optional-255" :format/optional :house [[:int [:auth-zone :grant :body :revocation-service :present] 255]] "an optional that begins with 255"]
   ["index-beyond" :format/index :house [[:int [:master-zone :master-keys 1 :key] 6]] "a master key that is not in the map"]
   ["signer-beyond" :format/index :house [[:int [:feed-zone :grant :signatures 0 :key] 65535]] "a signer that is not in the map"]
   ["master-x25519" :format/key-use :house [[:int [:master-zone :master-keys 1 :key] 4]] "an X25519 key as master key"]
   ["email-ed25519" :format/key-use :house [[:int (conj email :key) 0]] "an Ed25519 key for mail"]
   ["utf8-stray" :format/utf8 :house [[:put (conj email :name :content) "61ff"]] "a byte that no UTF-8 has"]
   ["utf8-overlong" :format/utf8 :house [[:put (conj email :name :content) "c1a1"]] "an overlong form"]
   ["utf8-surrogate" :format/utf8 :house [[:put (conj email :name :content) "eda080"]] "half of a surrogate pair"]
   ["control-0" :format/control-char :house [[:utf8 (conj email :name) "a\u0000"]] "a string with U+0000"]
   ["control-9f" :format/control-char :house [[:utf8 (conj email :name) "a\u009f"]] "a string with U+009F"]
   ["handle-at" :format/handle :house [[:utf8 (conj entry :user-handle) "a@b"]] "a handle with @"]
   ["handle-space" :format/handle :house [[:utf8 (conj entry :user-handle) "a\u3000b"]] "a handle with U+3000"]
   ["domain-upper" :format/domain :house [[:utf8 (conj host :hostname) "WWW.example"]] "a domain in upper case"]
   ["domain-hyphen" :format/domain :house [[:utf8 (conj host :hostname) "www-.example"]] "a label that ends with a hyphen"]
   ["domain-64" :format/domain :house [[:utf8 (conj host :hostname) (str (str/join (repeat 64 "a")) ".example")]] "a label of 64"]
   ["genesis-hash" :format/consistency :solo [[:flip [:master-zone :original-master-hash] 0]] "serial 1 with another original hash"]
   ["genesis-time" :format/consistency :solo [[:add [:master-zone :original-timestamp] 1]] "serial 1 with two timestamps"]
   ["genesis-parent" :format/consistency :solo [[:flip [:master-zone :previous-master-hash] 0]] "serial 1 with a parent"]
   ["grant-parent" :format/consistency :house [[:flip [:feed-zone :grant :previous-zone-hash] 0]] "grant serial 1 with a parent"]
   ["deny-time" :format/consistency :house [[:int [:feed-zone :deny :timestamp] 1]] "no deny, and a time of one"]
   ["deny-serial-alone" :format/consistency :house [[:int [:feed-zone :deny :serial] 1]] "a deny that denies nothing"]])

(defn- text-of [f]
  (fn [b] (bytes/utf8 (f (record/armor b)))))

(def texts
  "The text form: the file of a base, as text, then changed."
  [["text-two-blocks" :format/text-form :solo [] "two whole blocks" {:then (text-of #(str % %))}]
   ["text-long-line" :format/text-form :solo [] "base64 in one line" {:then (text-of #(str/replace % #"(?<=[A-Za-z0-9+/]{64})\n" ""))}]
   ["text-blank-line" :format/text-form :solo [] "an empty line inside" {:then (text-of #(str/replace-first % "-----\n" "-----\n\n"))}]
   ["text-no-padding" :format/text-form :house [] "base64 with a letter that is none" {:then (text-of #(str/replace-first % "-----\nUE9a" "-----\nUE*a"))}]
   ["text-no-end" :format/magic :solo [] "no end line: no block, so a file" {:then (text-of #(str/replace-first % "-----END" "----END"))}]])
