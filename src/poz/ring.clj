(ns poz.ring
  "`https://<domain>/.well-known/poz` (protocol.md §6) for who has a web server: handlers and
  middleware in the form of Ring, plain functions of maps; nothing here needs Ring.

      (def domains {\"social.example\" record})
      (wrap-well-known my-handler domains)     ; answers that path, leaves all others to my-handler
      (well-known domains)                     ; a handler of that path alone, 404 for any other

  `domains` is a function (a map is one) of a domain in lower case: the record that is
  authoritative under it, verified, or nil. The Host header chooses; a proxy in front has to
  hand it on. It is asked at each request, so that a record that changes is told as it is.

  `answer` and `negotiated` are for other documents of the same kind: GET and HEAD, an ETag, 304
  for who has it."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.authority.files :as files]
   [poz.bytes :as bytes]
   [poz.client.servers :as servers]
   [poz.crypto :as crypto]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def path
  "Where the document is."
  "/.well-known/poz")

;; ## The document

(defn- server-json [{:keys [host port encryption public-key]}]
  (cond-> (array-map "host" host "port" port "encryption" (name encryption))
    public-key (assoc "public_key" (bytes/->hex public-key))))

(defn- query-servers [record]
  (when (and (:service-zone record) (not (files/fallen? record :service)))
    (servers/of-service record :poz-query)))

(defn document
  "What the domain of `record`, which is verified, says of itself, as JSON: its original hash,
  and the query servers that its Service Zone names."
  [record]
  (json/write-str
    (array-map "v" "poz1" "original_hash" (bytes/->hex (record/original-hash record))
      "servers" (mapv server-json (query-servers record)))
    :escape-slash false))

;; ## Answers

(defn- etag [body]
  (str "\"" (subs (bytes/->hex (crypto/sha3-256 (bytes/utf8 body))) 0 32) "\""))

(defn- has? [{:keys [headers]} tag]
  (when-let [given (get headers "if-none-match")]
    (some #(or (= "*" %) (= tag (str/replace % #"^W/" "")))
      (map str/trim (str/split given #",")))))

(defn answer
  "A response with the text `body`."
  [status body headers]
  {:status status :headers (merge {"Content-Type" "text/plain; charset=utf-8"} headers) :body body})

(defn negotiated
  "The response to `request` for a document `(body)`, a text, or nil where there is none: 200, 304,
  404, or 405 for who wants anything but to read it. HEAD gets no body, and its length."
  [{:keys [request-method] :as request} headers body]
  (if-not (contains? #{:get :head} request-method)
    (answer 405 "Method not allowed\n" {"Allow" "GET, HEAD"})
    (if-let [text (body)]
      (let [tag (etag text)
            {:keys [headers] :as found} (answer 200 text (assoc headers "ETag" tag))]
        (cond
          (has? request tag) {:status 304 :headers (dissoc headers "Content-Type") :body nil}
          (= :head request-method) (assoc found :body nil :headers (assoc headers "Content-Length" (str (count (bytes/utf8 text)))))
          :else found))
      (answer 404 "Not found\n" {}))))

(def ^:private document-headers
  "Anyone may read it, a script of any page too; a change is seen after five minutes."
  {"Content-Type" "application/json" "Cache-Control" "public, max-age=300" "Access-Control-Allow-Origin" "*"})

(defn- domain-of
  "The domain that the Host header of the request names, or nil."
  [{:keys [headers]}]
  (when-let [host (get headers "host")]
    (-> (str/lower-case host) (str/replace #":\d*$" "") (str/replace #"\.$" ""))))

(defn- told [domains request]
  (negotiated request document-headers
    #(some-> (domain-of request) domains document)))

(defn- both
  "A handler of Ring, synchronous and asynchronous, of `f`, request → response."
  [f]
  (fn
    ([request] (f request))
    ([request respond raise]
     (let [[response thrown] (try [(f request)] (catch Throwable t [nil t]))]
       (if thrown (raise thrown) (respond response))))))

(defn well-known
  "The handler of that one path; any other is 404."
  [domains]
  (both (fn [{:keys [uri] :as request}]
          (if (= path uri) (told domains request) (answer 404 "Not found\n" {})))))

(defn wrap-well-known
  "`handler`, which is no longer asked for that one path."
  [handler domains]
  (let [own (well-known domains)]
    (fn
      ([{:keys [uri] :as request}]
       ((if (= path uri) own handler) request))
      ([{:keys [uri] :as request} respond raise]
       ((if (= path uri) own handler) request respond raise)))))
