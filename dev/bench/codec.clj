(ns bench.codec
  "What decoding and encoding a record costs, beside code written by hand for the same
  bytes (`bench.by-hand`), and beside the same content in CBOR and in Protocol Buffers
  (`bench.foreign`): `(run)`."
  (:require
   [bench.by-hand :as by-hand]
   [bench.foreign :as foreign]
   [bench.ratio :as ratio]
   [bench.records :as records]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- check-agreement!
  "Throws where the two do not give the same values and bytes."
  [record file]
  (when-not (and (= record (record/decode file) (by-hand/decode file))
              (= file (by-hand/encode record)))
    (throw (IllegalStateException. "The decoder or encoder by hand differs from poz."))))

(defn run
  "Prints the time of each beside that of its baseline, and the ratio."
  []
  (let [record (records/typical)
        file (record/encode record)]
    (check-agreement! record file)
    (println (str "A record of " (count file) " bytes, beside code written by hand"))
    (ratio/print-ratios
      [["decode" #(by-hand/decode file) #(record/decode file)]
       ["encode" #(by-hand/encode record) #(record/encode record)]])
    (doseq [[name of] [["Jackson's CBOR" foreign/cbor] ["Protocol Buffers" foreign/protobuf]]
            :let [{:keys [decode encode size]} (of record)]]
      (println (str "Beside " name ", in " size " bytes that are held against no rule"))
      (ratio/print-ratios
        [["decode" decode #(record/decode file)]
         ["encode" encode #(record/encode record)]]))))
