(ns poz.crypto.bouncy-castle-test
  "What the strict rule relies on, and that slices are read where they lie."
  (:require
   [clojure.test :refer [deftest is]]
   [poz.bytes :as bytes]
   [poz.crypto.bouncy-castle :as bouncy-castle]
   [poz.ed25519-reference :as reference]))

(set! *warn-on-reflection* true)

(def ^:private provider (bouncy-castle/provider))

(deftest prime-order
  (is (bouncy-castle/prime-order? (reference/encode reference/base)))
  (is (not-any? bouncy-castle/prime-order? (mapcat reference/encodings reference/torsion)))
  (is (not-any? #(bouncy-castle/prime-order?
                   (reference/encode (reference/plus reference/base (reference/torsion %))))
                (range 1 8)))
  (is (not-any? #(bouncy-castle/prime-order? (bytes/zeros %)) [0 31 33 64])))

(deftest equation-has-no-cofactor
  (let [{:keys [parse equation?]} (:ed25519 provider)
        message (bytes/utf8 "m")
        key (reference/encode (reference/times 5 reference/base))
        r (reference/times 3 reference/base)
        holds? (fn [point]
                 (equation? (parse key) message
                            (reference/forge (reference/encode point) 3 key 5 message 0)))]
    (is (true? (holds? r)))
    (is (every? false? (map #(holds? (reference/plus r %)) (rest reference/torsion))))))

(deftest sees-slices
  (let [whole (bytes/hex-> "ff000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        seed (bytes/slice whole 1)
        {:keys [public-key sign parse equation?]} (:ed25519 provider)]
    (is (= (public-key (bytes/copy-of (bytes/->array seed))) (public-key seed)))
    (is (equation? (parse (public-key seed)) seed (sign seed seed)))))
