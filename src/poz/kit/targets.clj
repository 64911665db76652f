(ns poz.kit.targets
  "What `poz fuzz` can be aimed at and how another program is asked: names and sentences, which
  the command line needs before anything else of the kit.")

(set! *warn-on-reflection* true)

(def targets
  "Target → what it is about (`:doc`) and which questions of `poz.kit.answer` it asks (`:asks`)."
  {:decode {:doc "is a file well-formed? Only malformed or not counts" :asks #{:record}}
   :verify {:doc "does the record hold, and its identity entries?" :asks #{:record}}
   :text {:doc "the same of files in text form" :asks #{:record}}
   :update {:doc "may a server that holds one record take another?" :asks #{:update}}
   :wire {:doc "are these bytes a request, a response?" :asks #{:request :response}}})

(def protocols
  "Protocol → what it means."
  {:lines "many questions to one process, a line each"
   :stdin "a process for each file, which is its standard input"
   :file "a process for each file, whose name is put in place of {}"})
