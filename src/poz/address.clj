(ns poz.address
  "Handles as people write them: `alice@social.example/staff/eu`.

  An *address* is `{:handle :domain :path}`: the handle before the @, the provider's
  domain, and the path, a vector of segments. `parse` reads one, `text` writes it."
  (:require
   [clojure.string :as str])
  (:import
   (java.text Normalizer Normalizer$Form)))

(set! *warn-on-reflection* true)

(defn text
  "The address as a person writes it."
  ^String [{:keys [handle domain path]}]
  (str handle "@" domain (str/join (map #(str "/" %) path))))

(defn of-entry
  "The address of an identity entry, as text."
  [{:keys [user-handle authority-domain path]}]
  (text {:handle user-handle :domain authority-domain :path path}))

(defn parse
  "The address that `s` writes, its text brought into NFC, or nil where it is none: a
  handle, one @, a domain, and segments after slashes, none of them empty."
  [^String s]
  (let [s (Normalizer/normalize s Normalizer$Form/NFC)]
    (when-let [[_ handle domain path] (re-matches #"([^@/:\s]+)@([^@/:\s]+)((?:/[^@/:\s]+)*)" s)]
      {:handle handle
       :domain domain
       :path (vec (rest (str/split path #"/")))})))
